// Which numbers is a shape made of? Fields that edit the selected shape, or make a new one, exactly.

/** Show the fields of the selected shape, else of a new one of the tool's kind; without either, nothing. */
function drawFields(editor) {
  const { fields } = editor
  const panel = editor.selected?.panel ?? editor.active ?? editor.panels[0]
  const chosen = panel.draft?.value && panel.draft.region !== undefined ? panel.draft.value : selectedShape(editor)
  const kind = chosen?.kind ?? (["rectangle", "ellipse", "polygon"].includes(editor.tool) ? editor.tool : null)
  fields.add.hidden = Boolean(chosen) || !kind
  fields.inputs.hidden = !kind
  fields.act.hidden = !chosen
  fields.act.querySelector(".snap").hidden = !chosen || chosen.kind === "mask"
  if (!kind || !panel.sha) {
    fields.label.textContent = editor.tool === "select"
      ? "Choose a shape to move, resize or delete it, or a tool to draw one."
      : editor.tool === "hand" ? "Drag to move the picture; hold Ctrl and turn the wheel to zoom at the pointer."
        : "Press and drag to paint. [ and ] change the width."
    fields.kind = null
    return
  }
  const name = chosen ? shapeName(chosen) : `New ${SHAPE_NAMES[kind].toLowerCase()}`
  fields.label.textContent = chosen?.kind === "mask"
    ? `Mask on the ${panel.name.toLowerCase()} picture: its pixels are given, so it can be copied or deleted.`
    : `${name} on the ${panel.name.toLowerCase()} picture`
  const wanted = `${kind}${chosen ? "" : "-new"}-${panel.sha}`
  if (fields.kind !== wanted) {
    fields.kind = wanted
    fields.inputs.replaceChildren(...SHAPE_FIELDS[kind].map(([field, label, help]) => fieldOf(editor, kind, field, label, help)))
  }
  const values = chosen ?? (kind === "polygon" ? { points: [] } : middleShape(panel, kind))
  for (const input of fields.inputs.querySelectorAll("input")) {
    if (input.getRootNode().activeElement === input && !chosen) continue
    if (!chosen && input.dataset.touched) continue
    const value = values[input.name] ?? 0
    input.value = input.name === "points" ? value.join(" ") : String(value)
  }
}

function fieldOf(editor, kind, name, label, help) {
  const holder = document.createElement("label")
  const input = document.createElement("input")
  input.name = name
  input.type = name === "points" ? "text" : "number"
  if (input.type === "number") input.step = "any"
  else input.placeholder = "10,10 60,10 35,50"
  input.title = `${help}, in pixels of the picture`.replace(", in degrees, in pixels of the picture", ", in degrees")
  input.oninput = () => { input.dataset.touched = "yes" }
  input.onchange = () => { if (selectedShape(editor)) applyFields(editor, selectedShape(editor)) }
  input.onkeydown = event => {
    if (event.key === "Enter" && !selectedShape(editor)) addFromFields(editor, kind)
  }
  holder.append(Object.assign(document.createElement("span"), { textContent: label }), input)
  return holder
}

/** The shape that the fields describe, or null with a word about what is wrong. */
function readFields(editor, shape) {
  const made = { ...shape }
  for (const input of editor.fields.inputs.querySelectorAll("input")) {
    if (input.name === "points") {
      const points = readPoints(input.value, shape.kind === "polygon" ? 3 : 1)
      if (!points) {
        editor.say(shape.kind === "polygon"
          ? "Write at least three corners as x,y pairs, such as 10,10 60,10 35,50."
          : "Write the places as x,y pairs, such as 10,10 60,10.")
        return null
      }
      made.points = points
    } else {
      const value = input.valueAsNumber
      const size = ["width", "height", "rx", "ry", "size"].includes(input.name)
      if (!Number.isFinite(value) || Math.abs(value) > 100000 || (size && value <= 0)) {
        editor.say(`${input.previousSibling.textContent} must be a number${size ? " above 0" : ""}.`)
        return null
      }
      made[input.name] = value
    }
  }
  return made
}

function applyFields(editor, shape) {
  const made = readFields(editor, shape)
  if (made) replaceSelected(editor, made)
  else drawFields(editor)
}

function addFromFields(editor, kind) {
  const panel = editor.active ?? editor.panels[0]
  const made = readFields(editor, { kind })
  if (!made) return
  editor.fields.kind = null
  addShape(editor, panel, made)
}
