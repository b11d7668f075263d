// What is the thing that was roughly marked? The server looks for it (`regions/snap.py`); what it found is shown over the
// draft, and takes its place only when it is accepted.

const SNAP_HINT = "It goes by colour: where the object hardly differs from what is around it, draw it by hand."

/** Ask the server for the object that the chosen shape's region marks. */
function startSnap(editor) {
  const { selected } = editor
  if (!selectedShape(editor)) {
    editor.say("Choose a shape that roughly marks the object first.")
    return
  }
  const { panel, region } = selected
  const before = editor.drawings.get(panel.sha).regions[region]
  const shapes = before.shapes.filter(shape => shape.kind !== "mask")
  if (!shapes.length) {
    editor.say("A mask is exact already: draw a rough outline or a brush stroke, then snap.")
    return
  }
  const number = `${Date.now()}-${Math.random().toString(36).slice(2, 8)}`
  editor.snap = { number, panel, region, before, found: null, error: null }
  editor.setTriggerValue("snap", { number, sha: panel.sha, shapes })
  editor.redraw()
}

/** The server's answer, wherever it comes from; one that nobody waits for any more is left. */
function takeSnap(editor) {
  const answer = window.qwenvlDebugSnap
  const { snap } = editor
  if (!snap || snap.found || !answer || answer.number !== snap.number) return
  if (answer.mask) snap.found = answer.mask
  else snap.error = answer.error
  editor.redraw()
  const button = editor.parent.querySelector(snap.found ? ".accept" : ".refuse")
  button.focus({ preventScroll: true })
}

/** Put what was found in place of the draft; masks that the region already had stay. */
function acceptSnap(editor) {
  const { panel, region, before, found } = editor.snap
  const shapes = [...before.shapes.filter(shape => shape.kind === "mask"), found]
  editor.snap = null
  editor.selected = { panel, region, shape: shapes.length - 1 }
  changeRegion(editor, panel, region, each => ({ ...each, shapes }))
  panel.svg.focus({ preventScroll: true })
  editor.say(`${before.name} now fits the object; undo brings the draft back`)
}

function refuseSnap(editor) {
  const { panel } = editor.snap
  editor.snap = null
  panel.svg.focus({ preventScroll: true })
  editor.redraw()
}

/** The words and buttons about what was found; a draft that was changed meanwhile ends it. */
function drawOffer(editor) {
  const { snap, parent } = editor
  if (snap && !isSameDraft(editor, snap)) {
    editor.snap = null
    editor.say("The draft has changed, so what was found for it is gone; snap again.")
  }
  const now = editor.snap
  parent.querySelector(".offer").hidden = !now
  parent.querySelector(".fields").hidden = Boolean(now)
  if (!now) return
  parent.querySelector(".offer-words").textContent = now.found
    ? `Is this ${now.before.name}? ${SNAP_HINT}`
    : now.error ?? "Looking for the object …"
  parent.querySelector(".accept").hidden = !now.found
  parent.querySelector(".refuse").textContent = now.error ? "Close" : "Cancel"
}

function isSameDraft(editor, { panel, region, before }) {
  const now = panel.sha ? editor.drawings.get(panel.sha)?.regions[region]?.shapes : null
  return now === before.shapes || JSON.stringify(now) === JSON.stringify(before.shapes)
}

/** What was found, over the draft. */
function snapElements(editor, panel) {
  const { snap } = editor
  if (snap?.panel !== panel || !snap.found) return []
  const fill = shapeElement(snap.found, snap.before.colour)
  fill.classList.add("found")
  const outline = svgElement("path", { class: "found-outline", d: maskOutline(snap.found) })
  return [fill, outline]
}
