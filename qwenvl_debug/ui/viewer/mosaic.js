// Which layer, and which head of it, is worth opening? Every layer (or every head of the layer that is shown) as a small
// picture for both sides and their difference. A click, or the arrow keys, opens it above.

const MOSAICS = {
  layer: { count: viewer => viewer.data.layers, first: 0, name: at => `Layer ${at}`, label: at => String(at) },
  head: {
    count: viewer => viewer.data.heads + 1, first: -1,
    name: at => (at < 0 ? "Mean of the heads" : `Head ${at}`), label: at => (at < 0 ? "mean" : String(at)),
  },
}

function makeMosaic(find, kind, viewer) {
  const root = find(`.mosaic.${kind}s`)
  const mosaic = { kind, root, holder: root.querySelector(".tiles"), title: root.querySelector(".mosaic-title"), tiles: [], drawn: "" }
  root.open = viewer.folded[kind] !== true
  root.addEventListener("toggle", () => {
    viewer.folded[kind] = !root.open
    keepSettings(viewer)
    drawMosaic(viewer, mosaic)
  })
  mosaic.holder.onkeydown = event => stepTile(event, viewer, mosaic)
  return mosaic
}

/** Move by one tile, or to the first or last, and open it. */
function stepTile(event, viewer, mosaic) {
  const { first, count } = MOSAICS[mosaic.kind]
  const last = first + count(viewer) - 1
  const to = { ArrowRight: viewer[mosaic.kind] + 1, ArrowLeft: viewer[mosaic.kind] - 1, Home: first, End: last }[event.key]
  if (to === undefined) return
  event.preventDefault()
  viewer.open({ [mosaic.kind]: Math.max(first, Math.min(last, to)) })
  mosaic.tiles[viewer[mosaic.kind] - first].root.focus()
}

function makeTile(viewer, mosaic, at) {
  const { name, label } = MOSAICS[mosaic.kind]
  const root = element("button", "tile")
  root.type = "button"
  root.setAttribute("role", "radio")
  root.setAttribute("aria-label", name(at))
  root.title = name(at)
  const canvases = ["correct", "failing", "difference"].map(side => element("canvas", `small ${side}`))
  root.append(...canvases, element("span", "tile-name", label(at)))
  root.onclick = () => viewer.open({ [mosaic.kind]: at })
  return { root, canvases, at }
}

/** The small pictures; drawn anew only when something they show has changed. */
function drawMosaic(viewer, mosaic) {
  const { count, first } = MOSAICS[mosaic.kind]
  mosaic.root.hidden = !viewer.maps
  if (!viewer.maps || !mosaic.root.open) return
  const wanted = count(viewer)
  if (mosaic.tiles.length !== wanted) {
    mosaic.tiles = Array.from({ length: wanted }, (_, number) => makeTile(viewer, mosaic, number + first))
    mosaic.holder.replaceChildren(...mosaic.tiles.map(tile => tile.root))
    mosaic.root.parentElement.classList.toggle("few", viewer.data.layers <= 12 && viewer.data.heads < 12)
    mosaic.drawn = ""
  }
  const other = mosaic.kind === "layer" ? viewer.head : viewer.layer
  const differs = Boolean(viewer.extras?.difference.possible)
  const state = [viewer.dataNumber, viewer.extrasNumber, other, viewer.palette, viewer.reach].join()
  if (state !== mosaic.drawn) {
    mosaic.drawn = state
    mosaic.root.classList.toggle("with-difference", differs)
    for (const tile of mosaic.tiles) drawTile(viewer, mosaic, tile, differs)
  }
  mosaic.title.textContent = mosaic.kind === "layer"
    ? `Every layer, ${viewer.head < 0 ? "mean of the heads" : `head ${viewer.head}`}`
    : `Every head of layer ${viewer.layer}`
  for (const tile of mosaic.tiles) {
    const chosen = tile.at === viewer[mosaic.kind]
    tile.root.setAttribute("aria-checked", String(chosen))
    tile.root.tabIndex = chosen ? 0 : -1
  }
}

function drawTile(viewer, mosaic, tile, differs) {
  const [layer, head] = mosaic.kind === "layer" ? [tile.at, viewer.head] : [viewer.layer, tile.at]
  const top = scaleTop(viewer.maps, layer, head, viewer.reach)
  viewer.maps.forEach((maps, index) => {
    const map = mapAt(maps, layer, head)
    drawSmall(tile.canvases[index], paintShares(maps, map, top, shareTable(viewer.palette, null)))
    tile.canvases[index].style.aspectRatio = viewer.data.sides[index].width / viewer.data.sides[index].height
    tile.canvases[index].classList.toggle("none", !Number.isFinite(map.scale))
  })
  tile.canvases[2].hidden = !differs
  if (!differs) return
  const values = differenceOf(viewer, 0, layer, head)
  drawSmall(tile.canvases[2], paintDifference(viewer.maps[0], values, differenceTop(viewer, layer, head, viewer.reach), differenceTable(1)))
  tile.canvases[2].style.aspectRatio = viewer.data.sides[0].width / viewer.data.sides[0].height
}
