// What does the keyboard do? Everything but starting a freehand stroke.

const TOOL_KEYS = { v: "select", r: "rectangle", e: "ellipse", p: "polygon", b: "brush", x: "eraser", h: "hand" }
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

function listenKeys(editor, root) {
  root.addEventListener("keydown", event => {
    const held = event.composedPath()[0]
    const command = event.ctrlKey || event.metaKey
    if (["INPUT", "SELECT", "TEXTAREA"].includes(held.tagName)) {
      event.stopPropagation() // a name is typed, not a shortcut of the page
      return
    }
    const panel = editor.active
    if (!panel?.sha) return
    if (["BUTTON", "SUMMARY"].includes(held.tagName) && ["Enter", " "].includes(event.key)) return
    if (press(editor, panel, held, event, command)) {
      event.preventDefault()
      event.stopPropagation()
    }
  })
}

/** Do what a key means; true where it means something. */
function press(editor, panel, held, event, command) {
  const { key } = event
  const letter = key.toLowerCase()
  if (command) {
    if (letter === "z" && event.shiftKey) stepBack(editor, "redo", "undo")
    else if (letter === "z") stepBack(editor, "undo", "redo")
    else if (letter === "y") stepBack(editor, "redo", "undo")
    else if (letter === "d") duplicate(editor)
    else return false
    return true
  }
  if (event.altKey) return false
  if (editor.snap && key === "Escape") refuseSnap(editor)
  else if (editor.snap?.found && key === "Enter") acceptSnap(editor)
  else if (letter === "s") startSnap(editor)
  else if (letter in TOOL_KEYS) setTool(editor, TOOL_KEYS[letter])
  else if (letter === "n") startRegion(editor, panel)
  else if (key === "+" || key === "=") zoomAt(editor, panel, 1.5)
  else if (key === "-") zoomAt(editor, panel, 1 / 1.5)
  else if (key === "0") fitView(editor, panel)
  else if (key === "[") setSize(editor, editor.size - 2)
  else if (key === "]") setSize(editor, editor.size + 2)
  else if (key === "Escape") escape(editor, panel)
  else if (key === "Enter") enter(editor, panel)
  else if (key === " ") return corner(editor, panel)
  else if (key === "Delete" || key === "Backspace") return erase(editor, panel, held)
  else if (key in STEPS) return step(editor, panel, held, key, event.shiftKey)
  else return false
  return true
}

function escape(editor, panel) {
  panel.gesture?.cancel()
  panel.gesture = null
  if (panel.outline || panel.cross) panel.outline = panel.cross = null
  else editor.selected = null
  editor.redraw()
}

/** Close a polygon, or put a shape of a quarter of the view into its middle. */
function enter(editor, panel) {
  if (panel.outline) closePolygon(editor, panel)
  else if (["rectangle", "ellipse"].includes(editor.tool)) addShape(editor, panel, middleShape(panel, editor.tool))
}

function middleShape(panel, kind) {
  const { x, y, width, height } = panel.view
  return spanned(kind, [x + width * 0.375, y + height * 0.375], [x + width * 0.625, y + height * 0.625])
}

/** The space bar puts a corner where the cross is. */
function corner(editor, panel) {
  if (editor.tool !== "polygon") return false
  panel.cross ??= middleOf(panel)
  panel.outline = [...(panel.outline ?? []), panel.cross]
  editor.say(`Corner ${panel.outline.length} at ${panel.cross.join(", ")}`)
  drawPanel(editor, panel)
  return true
}

function middleOf({ view }) {
  return tidyPoint([view.x + view.width / 2, view.y + view.height / 2])
}

function erase(editor, panel, held) {
  if (panel.outline) {
    panel.outline = panel.outline.length > 1 ? panel.outline.slice(0, -1) : null
    drawPanel(editor, panel)
    return true
  }
  const shape = selectedShape(editor)
  if (!shape) return false
  const [kind, number] = (held.dataset?.handle ?? "").split("-")
  if (kind !== "corner") deleteSelected(editor)
  else if (shape.points.length > 3) {
    replaceSelected(editor, { ...shape, points: shape.points.filter((_, place) => place !== Number(number)) })
  } else editor.say("A polygon needs at least three corners.")
  return true
}

/** Arrows move the selected shape, a handle that is held, or the cross; with shift they resize. */
function step(editor, panel, held, key, large) {
  const [x, y] = STEPS[key]
  const name = held.dataset?.handle
  const shape = selectedShape(editor)
  if (name && shape) {
    const [fromX, fromY] = handlePlace(shape, name)
    const by = large ? 10 : 1
    replaceSelected(editor, withHandleAt(shape, name, [fromX + x * by, fromY + y * by]))
  } else if (editor.tool === "polygon") {
    const [fromX, fromY] = panel.cross ?? middleOf(panel)
    const by = large ? 10 : 1
    panel.cross = tidyPoint([fromX + x * by, fromY + y * by])
    drawPanel(editor, panel)
    editor.say(panel.cross.join(", "))
  } else if (shape) {
    if (shape.kind === "mask") editor.say("A mask lies on the picture's pixels: it can be deleted or copied, not moved.")
    else replaceSelected(editor, large ? grown(shape, x, y) : moved(shape, x, y))
  } else if (panel.view.width < panel.width) {
    const by = panel.view.width / 10
    setView(editor, panel, { ...panel.view, x: panel.view.x + x * by, y: panel.view.y + y * by })
  } else return false
  return true
}

function duplicate(editor) {
  const shape = selectedShape(editor)
  if (!shape) return
  const { panel, region } = editor.selected
  panel.region = region
  const by = Math.max(4, tidy(panel.width / 40))
  addShape(editor, panel, moved(shape, by, by))
}

function setTool(editor, tool) {
  editor.tool = tool
  for (const panel of editor.panels) panel.outline = panel.cross = null
  if (tool !== "select" && tool !== "hand") editor.selected = null
  editor.redraw()
}

function setSize(editor, size) {
  editor.size = Math.max(1, Math.min(400, Math.round(size)))
  editor.redraw()
}
