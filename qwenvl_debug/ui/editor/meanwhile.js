// Who was first? Where someone else changed a region that was changed here too, the server keeps theirs and this browser
// keeps ours; one sentence says so, and a person chooses.

const MEANWHILE = {
  changed: (name, where) => `Someone changed “${name}”${where} meanwhile. Yours is not kept yet; theirs is dashed.`,
  deleted: (name, where) => `Someone deleted “${name}”${where} meanwhile. Yours is not kept yet.`,
  kept: (name, where) => `Someone changed “${name}”${where} while you deleted it. Theirs is dashed.`,
}

function drawMeanwhile(editor) {
  const list = editor.parent.querySelector(".meanwhile")
  const rows = editor.panels.filter(panel => panel.sha).flatMap(panel =>
    [...editor.drawings.get(panel.sha).conflicts].map(([key, conflict]) => meanwhileRow(editor, panel, key, conflict)))
  list.hidden = rows.length === 0
  list.replaceChildren(...rows)
}

function meanwhileRow(editor, panel, key, conflict) {
  const row = document.createElement("p")
  const words = document.createElement("span")
  const both = editor.panels.filter(each => each.sha).length > 1
  words.textContent = MEANWHILE[conflict.kind](conflict.name, both ? ` on the ${panel.name.toLowerCase()} picture` : "")
  const button = (label, title, choose) => {
    const made = document.createElement("button")
    Object.assign(made, { type: "button", textContent: label, title, onclick: choose })
    return made
  }
  row.append(words,
    button("Keep mine", "Yours takes the place of theirs, for everyone.", () => keepMine(editor, panel, key, conflict)),
    button("Take theirs", "Theirs takes the place of yours; Undo brings yours back.", () => takeTheirs(editor, panel, key, conflict)))
  return row
}

/** What others made of the regions that wait for a choice, as dashed outlines. */
function theirElements(editor, panel) {
  const shapes = [...editor.drawings.get(panel.sha).conflicts.values()].flatMap(({ theirs }) => theirs?.shapes ?? [])
  return shapes.map(shape => {
    const element = shape.kind === "mask" ? svgElement("path", { d: maskOutline(shape) }) : shapeElement(shape)
    element.classList.add("theirs")
    return element
  })
}

/** Build on what they did: now the server takes ours. */
function keepMine(editor, panel, key, conflict) {
  const drawing = editor.drawings.get(panel.sha)
  const mark = drawing.marks[key] ?? drawing.gone[key]
  Object.assign(mark, { change: newName(), base: conflict.theirs ? conflict.change : null, trail: [] })
  drawing.conflicts.delete(key)
  finishMeanwhile(editor, drawing, `Yours of ${conflict.name} is kept`)
}

function takeTheirs(editor, panel, key, { name, theirs, change: theirChange }) {
  const drawing = editor.drawings.get(panel.sha)
  const here = drawing.regions.some(region => region.key === key)
  const others = region => (region.key === key ? theirs : region)
  const regions = here ? drawing.regions.map(others).filter(Boolean) : [...drawing.regions, theirs]
  remember(editor, panel.sha, regions)
  holdPlaces(editor, drawing, drawing.regions, regions)
  drawing.regions = regions
  delete drawing.gone[key]
  delete drawing.marks[key]
  if (theirs) drawing.marks[key] = { change: theirChange, base: theirChange, trail: null }
  drawing.conflicts.delete(key)
  finishMeanwhile(editor, drawing, `Theirs of ${name} is shown; undo brings yours back`)
}

function finishMeanwhile(editor, drawing, words) {
  drawing.version += 1
  keepDrawing(drawing)
  sendDrawings(editor)
  drawMeanwhile(editor)
  editor.redraw()
  editor.say(words)
}
