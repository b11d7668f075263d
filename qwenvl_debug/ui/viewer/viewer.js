// Where did the model look, in a correct and a failing case? Ties the parts together: the controls, both pictures,
// the scale and the address. Moving a control redraws here; only choosing other words asks the server.

const viewers = new WeakMap()
const SETTINGS = "qwenvl-debug-view"

function makeViewer(parent) {
  const find = selector => parent.querySelector(selector)
  const kept = JSON.parse(window.localStorage.getItem(SETTINGS) ?? "{}")
  const viewer = {
    parent, data: null, maps: null, top: 0, cell: null, drag: null, seedId: null,
    layer: 0, head: -1,
    opacity: kept.opacity ?? 0.75, palette: kept.palette ?? "Magma", reach: kept.reach ?? "cell",
    zoom: { scale: 1, x: 0.5, y: 0.5 },
    tip: find(".tip"), ramp: find(".ramp"), ticks: find(".ticks"), live: find(".live"), notice: find(".notice"),
    inputs: Object.fromEntries(["layer", "head", "asks", "shows", "opacity", "palette", "reach"].map(id => [id, find(`#${id}`)])),
  }
  viewer.sides = [0, 1].map(index => makeSide(find(".side-template"), index, viewer))
  find(".sides").replaceChildren(...viewer.sides.map(side => side.root))
  viewer.pointAt = (side, row, col) => pointAt(viewer, side, row, col)
  viewer.zoomTo = (scale, x, y) => zoomTo(viewer, scale, x, y)
  viewer.caption = () => `layer ${viewer.layer}, head ${viewer.head < 0 ? "mean" : viewer.head}, ${viewer.data.noun}`
  fillSelect(viewer.inputs.palette, Object.keys(PALETTES).map(name => [name, name]), viewer.palette)
  fillSelect(viewer.inputs.reach,
    [["cell", "brightest cell"], ["calm", "without spikes"], ["layers", "all layers"]], viewer.reach)
  viewer.inputs.opacity.value = String(Math.round(viewer.opacity * 100))
  listen(viewer, find)
  return viewer
}

function fillSelect(select, options, value) {
  const wanted = JSON.stringify(options)
  if (select.dataset.options !== wanted) {
    select.replaceChildren(...options.map(([key, label]) => new Option(label, key)))
    select.dataset.options = wanted
  }
  select.value = value
}

function listen(viewer, find) {
  const { inputs } = viewer
  inputs.layer.oninput = () => { viewer.layer = Number(inputs.layer.value); redraw(viewer) }
  inputs.head.onchange = () => { viewer.head = Number(inputs.head.value); redraw(viewer) }
  inputs.opacity.oninput = () => { viewer.opacity = Number(inputs.opacity.value) / 100; redraw(viewer) }
  inputs.palette.onchange = () => { viewer.palette = inputs.palette.value; redraw(viewer) }
  inputs.reach.onchange = () => { viewer.reach = inputs.reach.value; redraw(viewer) }
  inputs.asks.onchange = () => { if (inputs.asks.value !== "two") choose(viewer, inputs.asks.value, null) }
  inputs.shows.onchange = () => ask(viewer, { ...viewer.data.query, shows: inputs.shows.value })
  find(".zoom").onclick = () => zoomTo(viewer, viewer.zoom.scale > 1 ? 1 : 2)
  find(".save").onclick = () => savePicture(viewer)
  find(".copy").onclick = async event => {
    saveAddress(viewer)
    await navigator.clipboard.writeText(window.location.href)
    const button = event.target
    button.textContent = "Copied"
    setTimeout(() => { button.textContent = "Copy link" }, 1500)
  }
  for (const side of viewer.sides) listenZoom(viewer, side)
  viewer.follow = event => {
    if (!viewer.maps) return
    viewer.layer = clamp(event.detail.layer, viewer.data.layers)
    if (event.detail.head !== null) viewer.head = Math.min(event.detail.head, viewer.data.heads - 1)
    redraw(viewer)
    viewer.parent.querySelector(".viewer").scrollIntoView({ block: "nearest", behavior: "smooth" })
  }
  window.addEventListener("qwenvl-debug-go", viewer.follow)
  viewer.watch = new ResizeObserver(() => paint(viewer))
  viewer.sides.forEach(side => viewer.watch.observe(side.frame))
}

function listenZoom(viewer, side) {
  side.frame.addEventListener("wheel", event => {
    if (!event.ctrlKey) return
    event.preventDefault()
    zoomTo(viewer, viewer.zoom.scale * (event.deltaY < 0 ? 1.2 : 1 / 1.2))
  }, { passive: false })
  side.frame.onpointerdown = event => {
    if (viewer.zoom.scale > 1) viewer.drag = { x: event.clientX, y: event.clientY, from: { ...viewer.zoom }, moved: false }
  }
  side.frame.onpointermove = event => {
    if (!viewer.drag) return
    viewer.drag.moved = true
    const { width, height } = side.frame.getBoundingClientRect()
    const { from } = viewer.drag
    zoomTo(viewer, from.scale, from.x - (event.clientX - viewer.drag.x) / (width * from.scale),
      from.y - (event.clientY - viewer.drag.y) / (height * from.scale))
  }
  side.frame.onpointerup = side.frame.onpointerleave = () => { viewer.drag = null }
}

function zoomTo(viewer, scale, x = viewer.zoom.x, y = viewer.zoom.y) {
  const kept = Math.max(1, Math.min(8, scale))
  const edge = 0.5 / kept
  viewer.zoom = { scale: kept, x: Math.max(edge, Math.min(1 - edge, x)), y: Math.max(edge, Math.min(1 - edge, y)) }
  for (const side of viewer.sides) {
    side.sheet.style.transform =
      `scale(${kept}) translate(${(0.5 / kept - viewer.zoom.x) * 100}%, ${(0.5 / kept - viewer.zoom.y) * 100}%)`
    side.frame.classList.toggle("zoomed", kept > 1)
  }
  viewer.parent.querySelector(".zoom").setAttribute("aria-pressed", String(kept > 1))
}

/** Another word asks: on both sides when the other side has it too, else on its own side only. */
function choose(viewer, ref, index) {
  const query = { ...viewer.data.query }
  const has = side => /[a-z]$/.test(ref) || viewer.data.sides[side].chips[ref[0]].some(chip => chip.ref === ref)
  if (index !== 1 || has(0)) query.left = ref
  if (index !== 0 || has(1)) query.right = ref
  ask(viewer, query)
}

function ask(viewer, query) {
  saveAddress(viewer)
  viewer.setStateValue("query", query)
}

function pointAt(viewer, side, row, col) {
  viewer.cell = side === null || !viewer.maps ? null : { side, row, col }
  viewer.sides.forEach((each, index) => {
    const maps = viewer.maps?.[index]
    const cell = viewer.cell && maps
      ? index === side ? viewer.cell : sameCell(viewer.cell, viewer.maps[side], maps)
      : null
    if (maps) outlineCell(each, maps, cell)
    each.readout.textContent = cell ? cellWords(viewer, index, cell) : sumWords(viewer, index)
  })
  viewer.live.textContent = viewer.cell
    ? viewer.sides.map((each, index) => `${viewer.data.sides[index].name}: ${each.readout.textContent}`).join(". ")
    : ""
}

function cellWords(viewer, index, cell) {
  const maps = viewer.maps[index]
  const share = shareAt(maps, viewer.layer, viewer.head, cell.row, cell.col)
  const times = share * maps.rows * maps.cols
  const even = viewer.data.query.shows === "picture" && Number.isFinite(times)
    ? `, ${times.toFixed(times >= 10 ? 0 : times >= 1 ? 1 : 2)} times an even spread` : ""
  return `Row ${cell.row + 1}, column ${cell.col + 1}: ${percent(share)} ${viewer.data.noun}${even}`
}

function sumWords(viewer, index) {
  const sent = viewer.data?.sides[index]
  if (!viewer.maps || !sent.imageShare) return ""
  const share = sent.imageShare[viewer.layer]?.[viewer.head + 1]
  if (share === null || share === undefined) return ""
  return `${percent(share)} of this layer's attention goes to the picture; point at a cell for its share`
}

/** Draw what depends on the size of things on screen. */
function paint(viewer) {
  if (!viewer.maps) return
  const sharpness = window.devicePixelRatio || 1
  viewer.sides.forEach((side, index) => {
    const { clientWidth, clientHeight } = side.frame
    if (!clientWidth || !clientHeight) return
    const pixels = paintCells(viewer.maps[index], viewer.layer, viewer.head, viewer.top, viewer.palette, viewer.opacity)
    drawCells(side.canvas, pixels, Math.round(clientWidth * sharpness), Math.round(clientHeight * sharpness))
  })
}

/** Draw everything that a control can change. No message leaves for it. */
function redraw(viewer) {
  const { inputs, data } = viewer
  for (const input of Object.values(inputs)) input.disabled = !viewer.maps
  viewer.parent.querySelectorAll(".buttons button").forEach(button => { button.disabled = !viewer.maps })
  viewer.ramp.parentElement.classList.toggle("empty", !viewer.maps)
  if (!viewer.maps) {
    viewer.sides.forEach(side => side.canvas.getContext("2d").clearRect(0, 0, side.canvas.width, side.canvas.height))
    pointAt(viewer, null)
    return
  }
  viewer.top = scaleTop(viewer.maps, viewer.layer, viewer.head, viewer.reach)
  inputs.layer.value = String(viewer.layer)
  inputs.layer.setAttribute("aria-valuetext", `layer ${viewer.layer}`)
  inputs.head.value = String(viewer.head)
  viewer.parent.querySelector(".layer-value").textContent = `${viewer.layer} of ${data.layers - 1}`
  const none = viewer.maps.every(maps => !Number.isFinite(mapAt(maps, viewer.layer, viewer.head).scale))
  viewer.notice.hidden = !none
  viewer.notice.textContent = none ? `Layer ${viewer.layer} keeps no attention map; choose another layer.` : ""
  paint(viewer)
  drawLegend(viewer.ramp, viewer.ticks, viewer.top, viewer.palette, viewer.opacity,
    data.query.shows === "picture" ? viewer.maps[0].rows * viewer.maps[0].cols : null)
  const { cell } = viewer
  if (cell) pointAt(viewer, cell.side, cell.row, cell.col)
  else pointAt(viewer, null)
  clearTimeout(viewer.saving)
  viewer.saving = setTimeout(() => saveAddress(viewer), 120)
  const { opacity, palette, reach } = viewer
  window.localStorage.setItem(SETTINGS, JSON.stringify({ opacity, palette, reach }))
}

function saveAddress(viewer) {
  clearTimeout(viewer.saving)
  if (!viewer.maps) return
  const { left, right, shows } = viewer.data.query
  writeAddress({ layer: viewer.layer, head: viewer.head < 0 ? "mean" : viewer.head, left, right, shows })
}

/** Take over what the server sent. */
function update(viewer, data) {
  viewer.data = data
  enterPlace(data.place)
  viewer.maps = data.sides.every(side => side.maps) ? data.sides.map(side => unpackMaps(side.maps)) : null
  if (viewer.maps && data.seed.id !== viewer.seedId) {
    viewer.seedId = data.seed.id
    viewer.layer = data.seed.layer
    viewer.head = data.seed.head
    zoomTo(viewer, 1)
  }
  viewer.layer = clamp(viewer.layer, Math.max(1, data.layers))
  viewer.head = Math.min(viewer.head, data.heads - 1)
  data.sides.forEach((sent, index) => {
    const side = viewer.sides[index]
    side.name.textContent = sent.name
    side.verdict.textContent = sent.verdict.text
    side.verdict.className = `verdict ${sent.verdict.kind}`
    const chosen = index === 0 ? data.query.left : data.query.right
    for (const kind of ["q", "a", "t"]) {
      side.rows[kind].hidden = sent.chips[kind].length === 0
      drawChips(side.rows[kind].querySelector(".chips"), sent.chips[kind], chosen,
        ref => choose(viewer, ref, index), viewer.tip)
    }
    if (side.image.src !== sent.picture) side.image.src = sent.picture
    side.image.alt = `${sent.name} picture: ${sent.caption}`
    side.frame.style.setProperty("--wide", sent.width)
    side.frame.style.setProperty("--high", sent.height)
    side.canvas.setAttribute("aria-label",
      `Attention over the ${sent.name.toLowerCase()} picture. Arrow keys move over its cells.`)
  })
  viewer.tip.hidden = true
  fillSelect(viewer.inputs.head,
    [[-1, "mean"], ...Array.from({ length: data.heads }, (_, head) => [head, String(head)])], String(viewer.head))
  fillSelect(viewer.inputs.asks, data.asks, data.query.left === data.query.right ? data.query.left : "two")
  fillSelect(viewer.inputs.shows, data.shows, data.query.shows)
  viewer.inputs.layer.max = String(Math.max(0, data.layers - 1))
  redraw(viewer)
}

export default function (component) {
  const { data, parentElement, setStateValue } = component
  let viewer = viewers.get(parentElement)
  if (!viewer) {
    viewer = makeViewer(parentElement)
    viewers.set(parentElement, viewer)
  }
  viewer.setStateValue = setStateValue
  update(viewer, data)
  return () => {
    window.removeEventListener("qwenvl-debug-go", viewer.follow)
    viewer.watch.disconnect()
    clearTimeout(viewer.saving)
    viewers.delete(parentElement)
  }
}
