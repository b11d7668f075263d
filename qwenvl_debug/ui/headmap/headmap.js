// Which heads changed what they look at? Ties the plot to the two small maps beside it. Everything happens here;
// only opening a head on Compare asks the server.

const headmaps = new WeakMap()

function makeHeadmap(parent) {
  const find = selector => parent.querySelector(selector)
  const map = {
    svg: find("svg"), name: find(".name"), numbers: find(".numbers"), open: find(".open"), only: find("#only"),
    data: null, all: [], heads: [], spots: [], index: -1, pinned: -1, sent: null,
  }
  map.figures = ["correct", "failing"].map(side => {
    const figure = document.createElement("figure")
    figure.className = side
    const canvas = document.createElement("canvas")
    canvas.setAttribute("role", "img")
    figure.append(canvas)
    return { canvas, image: new Image(), side }
  })
  find(".pair").replaceChildren(...map.figures.map(figure => figure.canvas.parentElement))
  map.svg.onpointermove = event => {
    const { left, top } = map.svg.getBoundingClientRect()
    const near = nearest(map, event.clientX - left, event.clientY - top)
    show(map, near >= 0 ? near : map.pinned)
  }
  map.svg.onpointerleave = () => show(map, map.pinned)
  map.svg.onclick = () => { map.pinned = map.index; show(map, map.index) }
  map.svg.onkeydown = event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
    if (step) {
      event.preventDefault()
      map.pinned = (map.index + step + map.heads.length) % map.heads.length
      show(map, map.pinned)
    } else if (event.key === "Enter") map.open.click()
  }
  map.open.onclick = () => {
    const { layer, head } = map.heads[map.index]
    map.setTriggerValue("open", { layer, head })
  }
  map.only.onchange = () => filter(map)
  map.watch = new ResizeObserver(() => { drawPlot(map); show(map, map.index) })
  map.watch.observe(map.svg)
  return map
}

function filter(map) {
  const layer = map.only.value
  map.heads = layer === "all" ? map.all : map.all.filter(one => one.layer === Number(layer))
  drawPlot(map)
  map.pinned = map.heads.length ? 0 : -1
  show(map, map.pinned)
}

function show(map, index) {
  map.index = index
  markHead(map, index)
  map.open.disabled = index < 0
  if (index < 0) return
  const { layer, head, length } = map.heads[index]
  map.name.textContent = `Layer ${layer}, head ${head}`
  const place = map.all.indexOf(map.heads[index]) + 1
  map.numbers.textContent = `Arrow ${length.toFixed(2)} long, number ${place} of ${map.all.length}.`
  const top = scaleTop(map.maps, layer, head, "cell")
  map.figures.forEach((figure, side) => paintMap(figure, map.maps[side], layer, head, top))
}

/** The picture with the head's cells over it. */
function paintMap({ canvas, image, side }, maps, layer, head, top) {
  if (!image.naturalWidth) return
  const wide = 300
  canvas.width = wide
  canvas.height = Math.round((wide * image.naturalHeight) / image.naturalWidth)
  const pen = canvas.getContext("2d")
  pen.drawImage(image, 0, 0, canvas.width, canvas.height)
  const { bytes, scale } = mapAt(maps, layer, head)
  const table = paletteTable("Magma")
  for (let cell = 0; cell < bytes.length; cell++) {
    const part = Math.min(1, ((bytes[cell] / 255) * scale) / (top || 1))
    const at = Math.round(part * 255) * 3
    pen.fillStyle = `rgba(${table[at]}, ${table[at + 1]}, ${table[at + 2]}, ${cellAlpha(part, 0.8)})`
    const [row, col] = [Math.floor(cell / maps.cols), cell % maps.cols]
    const edge = (place, count, size) => Math.round((place * size) / count)
    const [x, y] = [edge(col, maps.cols, canvas.width), edge(row, maps.rows, canvas.height)]
    pen.fillRect(x, y, edge(col + 1, maps.cols, canvas.width) - x, edge(row + 1, maps.rows, canvas.height) - y)
  }
  canvas.setAttribute("aria-label", `Attention of layer ${layer}, head ${head} over the ${side} picture`)
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  if (!headmaps.has(parentElement)) headmaps.set(parentElement, makeHeadmap(parentElement))
  const map = headmaps.get(parentElement)
  map.setTriggerValue = setTriggerValue
  if (map.sent === data.id) return
  map.sent = data.id
  map.data = data
  map.maps = data.maps.map(unpackMaps)
  map.all = readHeads(data)
  map.figures.forEach((figure, side) => {
    figure.image.onload = () => show(map, map.index)
    figure.image.src = data.pictures[side]
  })
  const layers = [...new Set(map.all.map(one => one.layer))].sort((a, b) => a - b)
  map.only.replaceChildren(new Option("all", "all"), ...layers.map(layer => new Option(`layer ${layer}`, layer)))
  filter(map)
  return () => map.watch.disconnect()
}
