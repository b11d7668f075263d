// What is on the picture? One side's picture in its own pixels (the SVG's viewBox), with the regions, what is being
// drawn, and the handles of what is selected. Zooming and panning only move the viewBox.

function makePanel(template, index, editor) {
  const root = template.content.firstElementChild.cloneNode(true)
  const find = selector => root.querySelector(selector)
  const panel = {
    index, root, sha: null, name: "", width: 1, height: 1, view: null,
    region: null, // the number of the region that new shapes go to; null: a new one
    draft: null, // {region, shape, value} while a shape is being changed, {value} while it is new
    outline: null, // corners of a polygon that is not closed yet
    cross: null, // where the keyboard would put a corner
    gesture: null, pointers: new Map(),
    title: find(".name"), svg: find("svg"), rows: find(".regions"), empty: find(".empty"), copy: find(".copy"),
  }
  root.classList.add(index === 0 ? "correct" : "failing")
  panel.layers = Object.fromEntries(["picture", "shapes", "drawing", "handles"].map(name => [name, find(`.${name}`)]))
  find(".new").onclick = () => startRegion(editor, panel)
  panel.copy.onclick = () => copyAll(editor, panel, editor.panels[1 - index])
  listenPointer(editor, panel)
  panel.svg.addEventListener("focus", () => activate(editor, panel))
  return panel
}

function activate(editor, panel) {
  if (editor.active === panel) return
  editor.active = panel
  editor.redraw()
}

/** The next shape begins a new region. */
function startRegion(editor, panel) {
  activate(editor, panel)
  panel.region = null
  editor.selected = null
  editor.say("The next shape begins a new region")
  editor.redraw()
}

/** Picture pixels under a pointer. */
function placeOf(panel, event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(panel.svg.getScreenCTM().inverse())
  return [x, y]
}

/** Picture pixels in one pixel of the screen. */
function unitOf(panel) {
  return panel.view.width / (panel.svg.clientWidth || panel.view.width)
}

function setView(editor, panel, view) {
  const width = Math.max(panel.width / 40, Math.min(panel.width, view.width))
  const height = (width * panel.height) / panel.width
  panel.view = {
    x: Math.max(0, Math.min(panel.width - width, view.x)),
    y: Math.max(0, Math.min(panel.height - height, view.y)),
    width, height,
  }
  const { x, y } = panel.view
  panel.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`)
  drawPanel(editor, panel)
}

/** Enlarge by a factor; the place stays where it is on the screen. */
function zoomAt(editor, panel, factor, at = null) {
  const { view } = panel
  const [x, y] = at ?? [view.x + view.width / 2, view.y + view.height / 2]
  const width = Math.max(panel.width / 40, Math.min(panel.width, view.width / factor))
  const kept = width / view.width
  setView(editor, panel, { x: x - (x - view.x) * kept, y: y - (y - view.y) * kept, width })
}

function fitView(editor, panel) {
  setView(editor, panel, { x: 0, y: 0, width: panel.width })
}

function drawPanel(editor, panel) {
  if (!panel.sha) return
  const regions = shownRegions(editor, panel)
  panel.layers.shapes.replaceChildren(...regions.map((region, number) => regionGroup(editor, panel, region, number)))
  const drawing = []
  if (panel.draft && panel.draft.region === undefined) drawing.push(draftElement(editor, panel, panel.draft.value))
  if (panel.outline) drawing.push(...outlineElements(panel))
  if (panel.cross) {
    const [x, y] = panel.cross
    const arm = 9 * unitOf(panel)
    drawing.push(svgElement("path", { class: "cross", d: `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}` }))
  }
  panel.layers.drawing.replaceChildren(...drawing, ...theirElements(editor, panel), ...snapElements(editor, panel))
  const held = document.activeElement && panel.root.getRootNode().activeElement?.dataset?.handle
  panel.layers.handles.replaceChildren(...handleElements(editor, panel))
  if (held) panel.layers.handles.querySelector(`[data-handle="${held}"]`)?.focus({ preventScroll: true })
  panel.svg.dataset.tool = editor.tool
}

/** The regions with the change that is under way. */
function shownRegions(editor, panel) {
  const { regions } = editor.drawings.get(panel.sha)
  const { draft } = panel
  if (!draft || draft.region === undefined) return regions
  return regions.map((region, number) => (number !== draft.region ? region : {
    ...region, shapes: region.shapes.map((shape, place) => (place === draft.shape ? draft.value : shape)),
  }))
}

/** One region: filled as one surface, erased where its eraser went, its outlines above. */
function regionGroup(editor, panel, region, number) {
  const group = svgElement("g", { class: "region", "data-region": number, "aria-label": region.name, role: "group" })
  group.style.setProperty("--colour", region.colour)
  let filled = svgElement("g", { class: "fill" })
  const outlines = svgElement("g", { class: "outlines" })
  region.shapes.forEach((shape, place) => {
    if (shape.erase) {
      const id = `erased-${panel.index}-${number}-${place}`
      const mask = svgElement("mask", { id, maskUnits: "userSpaceOnUse", width: panel.width, height: panel.height })
      const all = svgElement("rect", { width: panel.width, height: panel.height, fill: "#ffffff" })
      const stroke = shapeElement(shape)
      stroke.setAttribute("stroke", "#000000")
      mask.append(all, stroke)
      const inner = svgElement("g", { mask: `url(#${id})` })
      inner.append(filled)
      filled = svgElement("g", {})
      filled.append(mask, inner)
    } else {
      const surface = shapeElement(shape, region.colour)
      surface.dataset.shape = place
      surface.classList.add(shape.kind)
      filled.append(surface)
    }
    const chosen = isSelected(editor, panel, number, place)
    if (chosen || shape.kind !== "brush") {
      const outline = shape.kind === "mask" ? svgElement("path", { d: maskOutline(shape) }) : shapeElement(shape)
      if (shape.kind === "brush") outline.setAttribute("stroke-width", 2 * unitOf(panel))
      outline.classList.toggle("chosen", chosen)
      outlines.append(outline)
    }
  })
  const surface = svgElement("g", { class: "surface" })
  surface.append(filled)
  group.append(surface, outlines)
  return group
}

function isSelected(editor, panel, region, shape) {
  const { selected } = editor
  return selected?.panel === panel && selected.region === region && selected.shape === shape
}

function draftElement(editor, panel, shape) {
  const made = shapeElement(shape)
  made.classList.add("draft", shape.kind)
  if (shape.erase) made.classList.add("erasing")
  made.style.setProperty("--colour", colourNow(editor, panel))
  return made
}

function colourNow(editor, panel) {
  const { regions } = editor.drawings.get(panel.sha)
  return regions[panel.region]?.colour ?? newRegion(regions, []).colour
}

function outlineElements(panel) {
  const points = panel.cross ? [...panel.outline, panel.cross] : panel.outline
  const line = svgElement("polyline", { class: "rubber", points: points.join(" ") })
  const radius = 4 * unitOf(panel)
  return [line, ...panel.outline.map(([cx, cy], number) =>
    svgElement("circle", { class: number ? "corner" : "corner first", cx, cy, r: radius }))]
}

const FRAME_SIDES = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]]
const SIDE_NAMES = ["top left", "top", "top right", "right", "bottom right", "bottom", "bottom left", "left"]

/** Handles of the selected shape: the sides of a frame, or the corners of a polygon with a place for a new one between. */
function handleElements(editor, panel) {
  if (editor.selected?.panel !== panel || editor.tool !== "select") return []
  const shape = panel.draft?.value ?? selectedShape(editor)
  if (!shape) return []
  const size = unitOf(panel)
  const frame = frameOf(shape)
  if (frame) {
    return FRAME_SIDES.map(([x, y], number) => {
      const [dx, dy] = turned([x * frame.rx, y * frame.ry], frame.turn)
      return handle(`side-${number}`, [frame.cx + dx, frame.cy + dy], 4.5 * size, SIDE_NAMES[number])
    })
  }
  if (shape.kind !== "polygon") return []
  const { points } = shape
  const middles = points.map(([x, y], number) => {
    const [nextX, nextY] = points[(number + 1) % points.length]
    return handle(`between-${number}`, [(x + nextX) / 2, (y + nextY) / 2], 3 * size, `new corner after ${number + 1}`)
  })
  return [...middles, ...points.map((point, number) => handle(`corner-${number}`, point, 4.5 * size, `corner ${number + 1}`))]
}

function handle(name, [x, y], half, label) {
  const kind = name.startsWith("side") ? "side" : name.startsWith("corner") ? "corner" : "between"
  const made = kind === "side"
    ? svgElement("rect", { x: x - half, y: y - half, width: 2 * half, height: 2 * half })
    : svgElement("circle", { cx: x, cy: y, r: half })
  made.classList.add("handle", kind)
  made.dataset.handle = name
  made.setAttribute("tabindex", "0")
  made.setAttribute("role", "button")
  made.setAttribute("aria-label", `${label}, arrow keys move it`)
  return made
}

/** The selected shape with one handle at another place. */
function withHandleAt(shape, name, point) {
  const [kind, text] = name.split("-")
  const number = Number(text)
  if (kind === "side") return pulled(shape, FRAME_SIDES[number], point)
  const points = [...shape.points]
  points.splice(kind === "between" ? number + 1 : number, kind === "between" ? 0 : 1, tidyPoint(point))
  return { ...shape, points }
}

function handlePlace(shape, name) {
  const [kind, text] = name.split("-")
  const number = Number(text)
  if (kind === "side") {
    const frame = frameOf(shape)
    const [dx, dy] = turned([FRAME_SIDES[number][0] * frame.rx, FRAME_SIDES[number][1] * frame.ry], frame.turn)
    return [frame.cx + dx, frame.cy + dy]
  }
  const [x, y] = shape.points[number]
  if (kind === "corner") return [x, y]
  const [nextX, nextY] = shape.points[(number + 1) % shape.points.length]
  return [(x + nextX) / 2, (y + nextY) / 2]
}
