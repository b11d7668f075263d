// What has been drawn on each picture? Regions by the picture's hash, every change undoable, kept by this browser and
// sent to the server. A drawing's version grows with each change; of two drawings the one of higher version counts.

const DRAWING = "qwenvl-debug-drawing-"
const KEPT_DRAWINGS = 60
const COLOURS = ["#d6246e", "#3a78e0", "#c79a00", "#2c9a5b", "#8b56cf", "#b0542a", "#5f7d00", "#7a7f87"]

function keptDrawing(sha) {
  try {
    const kept = JSON.parse(window.localStorage.getItem(DRAWING + sha))
    return kept && Array.isArray(kept.regions) && Number.isInteger(kept.version) ? kept : null
  } catch {
    return null
  }
}

function keepDrawing(drawing) {
  try {
    const { version, regions } = drawing
    window.localStorage.setItem(DRAWING + drawing.sha, JSON.stringify({ version, regions, at: Date.now() }))
    const names = Object.keys(window.localStorage).filter(name => name.startsWith(DRAWING))
    if (names.length <= KEPT_DRAWINGS) return
    const age = name => keptDrawing(name.slice(DRAWING.length))?.at ?? 0
    names.sort((a, b) => age(a) - age(b)).slice(0, names.length - KEPT_DRAWINGS)
      .forEach(name => window.localStorage.removeItem(name))
  } catch {
    // a full or forbidden storage: the server still has the drawing while the session lasts
  }
}

/** Take over what the server sent for a picture; true where the browser's own drawing is newer than that. */
function takeDrawing(editor, { sha, width, height, version, regions }) {
  let drawing = editor.drawings.get(sha)
  if (!drawing) {
    const kept = keptDrawing(sha)
    drawing = { sha, width, height, version: -1, regions: [], ...(kept && { version: kept.version, regions: kept.regions }) }
    editor.drawings.set(sha, drawing)
  }
  if (version <= drawing.version) return version < drawing.version
  if (drawing.version >= 0) remember(editor, sha)
  drawing.version = version
  drawing.regions = regions.map((region, number) => ({ colour: COLOURS[number % COLOURS.length], ...region }))
  keepDrawing(drawing)
  return false
}

function remember(editor, sha) {
  editor.undo.push({ sha, regions: editor.drawings.get(sha).regions })
  if (editor.undo.length > 200) editor.undo.shift()
  editor.redo = []
}

/** A finished change: remembered, kept, sent. */
function change(editor, sha, regions) {
  remember(editor, sha)
  settle(editor, sha, regions)
}

function settle(editor, sha, regions) {
  const drawing = editor.drawings.get(sha)
  drawing.regions = regions
  drawing.version += 1
  keepDrawing(drawing)
  sendDrawings(editor)
  editor.redraw()
}

function sendDrawings(editor) {
  const shown = editor.panels.filter(panel => panel.sha).map(panel => editor.drawings.get(panel.sha))
  editor.setStateValue("drawings", Object.fromEntries(
    shown.map(({ sha, version, regions }) => [sha, { version, regions }])))
}

/** Take back the last change (from: "undo", to: "redo") or the last taking back (the other way round). */
function stepBack(editor, from, to) {
  const last = editor[from].pop()
  if (!last) return
  editor[to].push({ sha: last.sha, regions: editor.drawings.get(last.sha).regions })
  const panel = editor.panels.find(each => each.sha === last.sha)
  if (panel) editor.selected = null
  settle(editor, last.sha, last.regions)
  editor.say(from === "undo" ? "Undone" : "Done again")
}

/** A name that no other region of this picture has. */
function freeName(regions, wanted, except = -1) {
  const taken = new Set(regions.filter((_, number) => number !== except).map(region => region.name))
  if (!taken.has(wanted)) return wanted
  const stem = wanted.replace(/ \d+$/, "")
  let number = 2
  while (taken.has(`${stem} ${number}`)) number++
  return `${stem} ${number}`
}

function newRegion(regions, shapes) {
  const used = new Set(regions.map(region => region.colour))
  return {
    version: 1,
    name: freeName(regions, regions.length ? `region ${regions.length + 1}` : "region 1"),
    expect: "look",
    colour: COLOURS.find(colour => !used.has(colour)) ?? COLOURS[regions.length % COLOURS.length],
    shapes,
  }
}

/** Put a shape into the panel's region of now, or into a new one; it becomes the selected one. */
function addShape(editor, panel, shape) {
  const { regions } = editor.drawings.get(panel.sha)
  if (shape.erase && panel.region === null) {
    editor.say("The eraser takes away from a region: choose one in the list first.")
    return
  }
  const number = panel.region ?? regions.length
  const next = number < regions.length
    ? regions.map((region, at) => (at === number ? { ...region, shapes: [...region.shapes, shape] } : region))
    : [...regions, newRegion(regions, [shape])]
  panel.region = number
  editor.selected = { panel, region: number, shape: next[number].shapes.length - 1 }
  change(editor, panel.sha, next)
  editor.say(`${shapeName(shape)} added to ${next[number].name}`)
}

function selectedShape(editor) {
  if (!editor.selected) return null
  const { panel, region, shape } = editor.selected
  return editor.drawings.get(panel.sha)?.regions[region]?.shapes[shape] ?? null
}

function replaceSelected(editor, shape) {
  const { panel, region, shape: place } = editor.selected
  changeRegion(editor, panel, region, each => ({
    ...each, shapes: each.shapes.map((old, number) => (number === place ? shape : old)),
  }))
}

function changeRegion(editor, panel, number, make) {
  const { regions } = editor.drawings.get(panel.sha)
  change(editor, panel.sha, regions.map((region, at) => (at === number ? make(region) : region)))
}

/** Delete the selected shape; a region whose last shape goes, goes too. */
function deleteSelected(editor) {
  const { panel, region, shape } = editor.selected
  const { regions } = editor.drawings.get(panel.sha)
  const left = regions[region].shapes.filter((_, number) => number !== shape)
  editor.selected = null
  if (!left.length) return deleteRegion(editor, panel, region)
  changeRegion(editor, panel, region, each => ({ ...each, shapes: left }))
  editor.say("Shape deleted")
}

function deleteRegion(editor, panel, number) {
  const { regions } = editor.drawings.get(panel.sha)
  editor.selected = null
  panel.region = null
  change(editor, panel.sha, regions.filter((_, at) => at !== number))
  editor.say(`Region ${regions[number].name} deleted`)
}

/** Every region of one picture onto the other, fitted to its size; those of the same name there are replaced. */
function copyAll(editor, from, to) {
  const source = editor.drawings.get(from.sha)
  const target = editor.drawings.get(to.sha)
  const copies = source.regions.map(region => ({
    ...region, shapes: region.shapes.map(shape => fitted(shape, source, target)),
  }))
  const names = new Set(copies.map(region => region.name))
  editor.selected = null
  to.region = null
  change(editor, to.sha, [...copies, ...target.regions.filter(region => !names.has(region.name))])
  editor.say(`${copies.length} regions copied to the ${to.name.toLowerCase()} picture`)
}
