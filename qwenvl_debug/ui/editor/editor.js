// Where should the model have looked? Ties the parts together: tools, one or two pictures, the lists of regions, and
// what the server sends and is sent. Shapes live here; the server hears of every finished change.

const editors = new WeakMap()

function makeEditor(parent) {
  const find = selector => parent.querySelector(selector)
  const editor = {
    parent, drawings: new Map(), undo: [], redo: [],
    tool: "select", size: 24, selected: null, active: null, lit: false, snap: null, copying: null,
    rowTemplate: find(".row-template"), live: find(".live"),
    fields: { label: find(".fields .what"), inputs: find(".fields .inputs"), add: find(".fields .add"), act: find(".fields .act"), kind: null },
  }
  editor.redraw = () => redraw(editor)
  editor.say = words => {
    editor.live.textContent = words
    clearTimeout(editor.quiet)
    editor.quiet = setTimeout(() => { editor.live.textContent = "" }, 6000)
  }
  editor.panels = [0, 1].map(index => makePanel(find(".panel-template"), index, editor))
  find(".panels").replaceChildren(...editor.panels.map(panel => panel.root))
  for (const button of parent.querySelectorAll("[data-pick]")) button.onclick = () => setTool(editor, button.dataset.pick)
  find(".size").oninput = event => setSize(editor, Number(event.target.value))
  find(".undo").onclick = () => stepBack(editor, "undo", "redo")
  find(".redo").onclick = () => stepBack(editor, "redo", "undo")
  find(".closer").onclick = () => zoomAt(editor, now(editor), 1.5)
  find(".farther").onclick = () => zoomAt(editor, now(editor), 1 / 1.5)
  find(".fit").onclick = () => editor.panels.filter(panel => panel.sha).forEach(panel => fitView(editor, panel))
  find(".snap").onclick = () => startSnap(editor)
  find(".accept").onclick = () => acceptSnap(editor)
  find(".refuse").onclick = () => refuseSnap(editor)
  find(".copy-shape").onclick = () => duplicate(editor)
  find(".delete-shape").onclick = () => deleteSelected(editor)
  editor.fields.add.onclick = () => addFromFields(editor, editor.tool)
  listenKeys(editor, find(".editor"))
  editor.watch = new ResizeObserver(() => editor.panels.forEach(panel => drawPanel(editor, panel)))
  editor.panels.forEach(panel => editor.watch.observe(panel.svg))
  editor.follow = () => takeDrawings(editor)
  window.addEventListener("qwenvl-debug-drawings", editor.follow)
  editor.attention = () => drawAttention(editor)
  window.addEventListener("qwenvl-debug-attention", editor.attention)
  editor.snapped = () => takeSnap(editor)
  window.addEventListener("qwenvl-debug-snap", editor.snapped)
  editor.copied = () => takeCopied(editor)
  window.addEventListener("qwenvl-debug-copied", editor.copied)
  find(".attention-switch").onclick = () => {
    editor.lit = !editor.lit
    drawAttention(editor)
  }
  return editor
}

function now(editor) {
  return editor.active ?? editor.panels[0]
}

/** The cells of the map chosen on the page, over the pictures when that is switched on (see `attention.js`). */
function drawAttention(editor) {
  const { sides, lit } = window.qwenvlDebugAttention ?? { sides: [], lit: editor.asked }
  if (editor.asked !== undefined && lit > editor.asked) editor.lit = true // a map was clicked: show it
  editor.asked = lit
  editor.panels.forEach((panel, index) => {
    const cells = editor.lit && sides[index]?.sha === panel.sha ? sides[index].cells : null
    const image = panel.root.querySelector(".attention")
    if (cells) {
      image.setAttribute("href", cells)
      image.setAttribute("width", panel.width)
      image.setAttribute("height", panel.height)
    } else image.removeAttribute("href")
  })
  const button = editor.parent.querySelector(".attention-switch")
  button.hidden = sides.length === 0
  button.setAttribute("aria-pressed", String(editor.lit))
}

function redraw(editor) {
  drawOffer(editor)
  for (const panel of editor.panels) {
    if (!panel.sha) continue
    const { regions } = editor.drawings.get(panel.sha)
    if (panel.region !== null && panel.region >= regions.length) panel.region = null
    panel.root.classList.toggle("active", now(editor) === panel)
    drawPanel(editor, panel)
    drawList(editor, panel)
  }
  const { parent } = editor
  for (const button of parent.querySelectorAll("[data-pick]")) {
    button.setAttribute("aria-pressed", String(button.dataset.pick === editor.tool))
  }
  parent.querySelector(".undo").disabled = !editor.undo.length
  parent.querySelector(".redo").disabled = !editor.redo.length
  parent.querySelector(".brush-size").hidden = !["brush", "eraser"].includes(editor.tool)
  parent.querySelector(".size").value = String(editor.size)
  parent.querySelector(".size-value").textContent = `${editor.size} px`
  drawFields(editor)
}

/** Take over what the server sent. */
function update(editor, data) {
  editor.panels.forEach((panel, index) => {
    const sent = data.panels[index]
    panel.root.hidden = !sent
    if (!sent) {
      panel.sha = null
      return
    }
    openDrawing(editor, sent)
    panel.name = sent.name
    panel.title.textContent = sent.name
    panel.copy.hidden = data.panels.length < 2
    const other = data.panels[1 - index]
    if (other) panel.copy.textContent = `Copy all to ${other.name.toLowerCase()} ${index === 0 ? "→" : "←"}`
    panel.svg.setAttribute("aria-label", `${sent.name} picture: ${sent.caption}. Letter keys choose tools, see Keys.`)
    if (panel.sha !== sent.sha) {
      Object.assign(panel, { sha: sent.sha, width: sent.width, height: sent.height, region: null, outline: null, cross: null, draft: null })
      panel.layers.picture.setAttribute("href", sent.picture)
      panel.layers.picture.setAttribute("width", sent.width)
      panel.layers.picture.setAttribute("height", sent.height)
      panel.svg.style.setProperty("--wide", sent.width)
      panel.svg.style.setProperty("--high", sent.height)
      if (editor.selected?.panel === panel) editor.selected = null
      fitView(editor, panel)
    }
  })
  drawAttention(editor)
  if (editor.selected && !selectedShape(editor)) editor.selected = null
  drawMeanwhile(editor)
  redraw(editor)
  takeDrawings(editor)
}

export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component
  let editor = editors.get(parentElement)
  if (!editor) {
    editor = makeEditor(parentElement)
    editors.set(parentElement, editor)
  }
  Object.assign(editor, { setStateValue, setTriggerValue })
  update(editor, data)
  return () => {
    window.removeEventListener("qwenvl-debug-drawings", editor.follow)
    window.removeEventListener("qwenvl-debug-attention", editor.attention)
    window.removeEventListener("qwenvl-debug-snap", editor.snapped)
    window.removeEventListener("qwenvl-debug-copied", editor.copied)
    editor.watch.disconnect()
    for (const timer of [editor.quiet, editor.again, editor.late]) clearTimeout(timer)
    editors.delete(parentElement)
  }
}
