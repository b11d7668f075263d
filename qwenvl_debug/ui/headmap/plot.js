// Where does each head stand, and where does it go? Points, arrows and labels as SVG, on one scale for both axes,
// since a distance must mean the same in every direction.

const SVG = "http://www.w3.org/2000/svg"
const MARGIN = 34
const LABELLED = 8

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  return made
}

/** Heads with a place on both sides, the longest arrow first: {layer, head, left, right, length}. */
function readHeads(data) {
  const found = []
  for (let layer = 0; layer < data.layers; layer++) {
    for (let head = 0; head < data.heads; head++) {
      const [left, right] = [data.left[layer][head], data.right[layer][head]]
      if (left && right) found.push({ layer, head, left, right, length: Math.hypot(left[0] - right[0], left[1] - right[1]) })
    }
  }
  return found.sort((a, b) => b.length - a.length)
}

/** From the map's coordinates to pixels of the plot. */
function placing(heads, width, height) {
  const all = heads.flatMap(one => [one.left, one.right])
  const [xs, ys] = [all.map(point => point[0]), all.map(point => point[1])]
  const [low, high] = [[Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]]
  const scale = Math.min((width - 2 * MARGIN) / (high[0] - low[0] || 1), (height - 2 * MARGIN) / (high[1] - low[1] || 1))
  const middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2]
  return point => [width / 2 + (point[0] - middle[0]) * scale, height / 2 - (point[1] - middle[1]) * scale]
}

function drawPlot(map) {
  const { svg, heads, data } = map
  const { width, height } = svg.getBoundingClientRect()
  if (!width || !heads.length) return
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
  const place = placing(map.all, width, height)
  map.spots = heads.map(one => ({ ...one, from: place(one.left), to: place(one.right) }))
  const parts = { axes: [], arrows: [], points: [], labels: [] }
  const share = data.explained.map(part => `${Math.round(part * 100)} %`)
  parts.axes.push(
    node("text", { x: width - 8, y: height - 8, "text-anchor": "end" }, `first component, ${share[0]} of the variance →`),
    node("text", { x: 14, y: 10, transform: `rotate(-90 14 10)`, "text-anchor": "end" }, `second, ${share[1]} →`))
  map.spots.forEach((spot, index) => {
    const [[x1, y1], [x2, y2]] = [spot.from, spot.to]
    const far = Math.hypot(x2 - x1, y2 - y1) > 9
    parts.arrows.push(node("line", { x1, y1, x2, y2, "data-index": index, ...(far ? { "marker-end": "url(#tip)" } : {}) }))
    parts.points.push(
      node("circle", { cx: x1, cy: y1, r: 3.5, class: "correct", "data-index": index }),
      node("rect", { x: x2 - 3, y: y2 - 3, width: 6, height: 6, class: "failing", "data-index": index }))
    if (index < LABELLED && far) {
      parts.labels.push(node("text", { x: x2 + 7, y: y2 + 4 }, `${spot.layer} · ${spot.head}`))
    }
  })
  for (const [name, made] of Object.entries(parts)) svg.querySelector(`.${name}`).replaceChildren(...made)
}

/** The head whose point or arrow end is nearest to a place in the plot, or -1 when none is near. */
function nearest(map, x, y, reach = 28) {
  let [best, found] = [reach, -1]
  map.spots?.forEach((spot, index) => {
    for (const [px, py] of [spot.from, spot.to]) {
      const away = Math.hypot(px - x, py - y)
      if (away < best) [best, found] = [away, index]
    }
  })
  return found
}

function markHead(map, index) {
  map.svg.classList.toggle("picked", index >= 0)
  for (const each of map.svg.querySelectorAll("[data-index]")) {
    each.classList.toggle("now", Number(each.dataset.index) === index)
  }
}
