// Where did the model look, in a correct and a failing case? Ties the parts together: what the server sent, the controls,
// both pictures, the small pictures of the whole, the scale and the address.

const viewers = new WeakMap()

function makeViewer(parent) {
  const find = selector => parent.querySelector(selector)
  const kept = keptSettings()
  const viewer = {
    parent, data: null, dataNumber: 0, maps: null, extras: null, top: 0, cell: null, drag: null, seedId: null, moved: false,
    layer: 0, head: -1, overlay: "own",
    opacity: kept.opacity ?? 0.75, palette: kept.palette ?? "Magma", reach: kept.reach ?? "cell",
    folded: kept.folded ?? {}, marking: { sinks: false, regions: true, ...kept.marking },
    zoom: { scale: 1, x: 0.5, y: 0.5 },
    tip: find(".tip"), ramp: find(".ramp"), ticks: find(".ticks"), live: find(".live"), notice: find(".notice"),
    alignment: find(".alignment"), asked: find(".asked"), regionShares: find(".region-shares"), sinkWords: find(".sink-words"),
    inputs: Object.fromEntries(INPUTS.map(id => [id, find(`#${id}`)])),
  }
  viewer.sides = [0, 1].map(index => makeSide(find(".side-template"), index, viewer))
  find(".sides").replaceChildren(...viewer.sides.map(side => side.root))
  viewer.place = () => `layer ${viewer.layer}, ${viewer.head < 0 ? "mean of the heads" : `head ${viewer.head}`}`
  viewer.caption = () => `${viewer.place()}, ${showsDifference(viewer) ? "correct less failing, " : ""}${viewer.data.noun}`
  viewer.open = place => {
    viewer.moved = true
    Object.assign(viewer, place)
    redraw(viewer)
  }
  viewer.swipe = makeSwipe(find, viewer)
  viewer.mosaics = ["layer", "head"].map(kind => makeMosaic(find, kind, viewer))
  fillSelect(viewer.inputs.palette, Object.keys(PALETTES).map(name => [name, name]), viewer.palette)
  fillSelect(viewer.inputs.reach,
    [["cell", "brightest cell"], ["calm", "without spikes"], ["layers", "all layers"]], viewer.reach)
  viewer.inputs.opacity.value = String(Math.round(viewer.opacity * 100))
  listen(viewer, find)
  return viewer
}

/** Draw what depends on the size of things on screen. */
function paint(viewer) {
  if (!viewer.maps) return
  const sharpness = window.devicePixelRatio || 1
  viewer.sides.forEach((side, index) => {
    const { clientWidth, clientHeight } = side.frame
    if (!clientWidth || !clientHeight) return
    drawCells(side.canvas, paintSide(viewer, index), Math.round(clientWidth * sharpness), Math.round(clientHeight * sharpness))
  })
}

/** Draw everything that a control can change. No message leaves for it. */
function redraw(viewer) {
  const { data } = viewer
  showControls(viewer)
  drawStatus(viewer)
  drawMarks(viewer)
  for (const mosaic of viewer.mosaics) drawMosaic(viewer, mosaic)
  if (!viewer.maps) {
    viewer.sides.forEach(side => side.canvas.getContext("2d").clearRect(0, 0, side.canvas.width, side.canvas.height))
    pointAt(viewer, null)
    return
  }
  const differs = showsDifference(viewer)
  viewer.sides.forEach(side => side.root.classList.toggle("grey", differs))
  viewer.top = differs
    ? differenceTop(viewer, viewer.layer, viewer.head, viewer.reach)
    : scaleTop(viewer.maps, viewer.layer, viewer.head, viewer.reach)
  paint(viewer)
  drawLegend(viewer)
  if (viewer.cell) pointAt(viewer, viewer.cell.side, viewer.cell.row, viewer.cell.col)
  else pointAt(viewer, null)
  clearTimeout(viewer.saving)
  viewer.saving = setTimeout(() => saveAddress(viewer), 120)
  keepSettings(viewer)
  viewer.parent.querySelector(".viewer").dataset.shown = [data.id, viewer.layer, viewer.head].join(" ")
}

/** What is compared, in words: how the pictures lie on each other, who asks, and what is missing. */
function drawStatus(viewer) {
  const { data } = viewer
  const { alignment } = viewer.extras ?? {}
  viewer.alignment.textContent = alignment ? alignment.text : data.layers ? "Laying the pictures on each other …" : ""
  viewer.alignment.className = `alignment ${alignment?.kind.replace(" ", "-") ?? ""}`
  viewer.alignment.title = alignment?.reason ?? ""
  viewer.asked.textContent = data.asked
  const none = viewer.maps?.every(maps => !Number.isFinite(mapAt(maps, viewer.layer, viewer.head).scale))
  const words = none ? data.empty ?? `Layer ${viewer.layer} keeps no attention map; choose another layer.` : data.notice
  viewer.notice.hidden = !words
  viewer.notice.textContent = words
  openSwipe(viewer, !viewer.swipe.root.hidden)
}

function saveAddress(viewer) {
  clearTimeout(viewer.saving)
  if (!viewer.maps) return
  const { left, right, align } = viewer.data.query
  const overlay = viewer.overlay === "own" ? null : viewer.overlay
  writeAddress({ layer: viewer.layer, head: viewer.head < 0 ? "mean" : viewer.head, left, right, shows: viewer.data.wanted, align, overlay })
}

/** Take over what the server sent. */
function update(viewer, data) {
  const before = viewer.data
  viewer.data = data
  enterPlace(data.place)
  if (before?.id !== data.id || !viewer.maps) {
    viewer.maps = data.sides.every(side => side.maps) ? data.sides.map(side => unpackMaps(side.maps)) : null
    viewer.dataNumber += 1
  }
  if (viewer.maps && data.seed.id !== viewer.seedId) {
    viewer.seedId = data.seed.id
    viewer.layer = data.seed.layer
    viewer.head = data.seed.head
    viewer.overlay = data.seed.overlay
    viewer.moved = data.seed.stated
    zoomTo(viewer, 1)
  }
  viewer.layer = clamp(viewer.layer, Math.max(1, data.layers))
  viewer.head = Math.min(viewer.head, data.heads - 1)
  takeExtras(viewer)
  data.sides.forEach((sent, index) => fillSide(viewer, viewer.sides[index], sent))
  viewer.tip.hidden = true
  fillControls(viewer)
  redraw(viewer)
}

function fillSide(viewer, side, sent) {
  const { data } = viewer
  side.name.textContent = sent.name
  side.verdict.textContent = sent.verdict.text
  side.verdict.className = `verdict ${sent.verdict.kind}`
  const chosen = side.index === 0 ? data.query.left : data.query.right
  for (const kind of ["q", "h", "a", "t"]) {
    side.rows[kind].hidden = sent.chips[kind].length === 0
    drawChips(side.rows[kind].querySelector(".chips"), sent.chips[kind], chosen,
      ref => ask(viewer, followWords(data, ref, side.index)), viewer.tip)
  }
  if (side.image.src !== sent.picture) side.image.src = sent.picture
  side.image.alt = `${sent.name} picture: ${sent.caption}`
  side.frame.style.setProperty("--wide", sent.width)
  side.frame.style.setProperty("--high", sent.height)
  side.canvas.setAttribute("aria-label",
    `Attention over the ${sent.name.toLowerCase()} picture. Arrow keys move over its cells.`)
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
    stopListening(viewer)
    viewers.delete(parentElement)
  }
}
