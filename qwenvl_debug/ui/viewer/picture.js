// Where did it look? One side's picture with the cells of a map over it, and the cell under the pointer.

/** Build one side from the template: {root, chips…, canvas, …} */
function makeSide(template, index, viewer) {
  const root = template.content.firstElementChild.cloneNode(true)
  const find = selector => root.querySelector(selector)
  const side = {
    index, root,
    name: find(".name"), verdict: find(".verdict"),
    rows: { q: find(".question"), h: find(".thoughts"), a: find(".answer"), t: find(".target") },
    frame: find(".frame"), sheet: find(".sheet"), image: find("img"), marks: find(".marks"),
    canvas: find(".cells"), outline: find(".outline"), readout: find(".readout"),
  }
  root.classList.add(index === 0 ? "correct" : "failing")
  side.canvas.onpointermove = event => {
    const box = side.canvas.getBoundingClientRect()
    const maps = viewer.maps?.[index]
    if (!maps || viewer.drag?.moved) return
    pointAt(viewer, index,
      clamp(Math.floor(((event.clientY - box.top) / box.height) * maps.rows), maps.rows),
      clamp(Math.floor(((event.clientX - box.left) / box.width) * maps.cols), maps.cols))
  }
  side.canvas.onpointerleave = () => pointAt(viewer, null)
  side.canvas.onblur = () => pointAt(viewer, null)
  side.canvas.onkeydown = event => steerCell(event, viewer, index)
  return side
}

function clamp(value, count) {
  return Math.max(0, Math.min(count - 1, value))
}

/** Arrow keys walk over the cells; Escape lets go; + and - zoom. */
function steerCell(event, viewer, index) {
  const maps = viewer.maps?.[index]
  if (!maps) return
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
  if (event.key in steps) {
    const here = viewer.cell && viewer.cell.side === index
      ? [viewer.cell.row, viewer.cell.col]
      : [Math.floor(maps.rows / 2) - steps[event.key][0], Math.floor(maps.cols / 2) - steps[event.key][1]]
    pointAt(viewer, index, clamp(here[0] + steps[event.key][0], maps.rows), clamp(here[1] + steps[event.key][1], maps.cols))
  } else if (event.key === "Escape") pointAt(viewer, null)
  else if (event.key === "+" || event.key === "=") zoomTo(viewer, viewer.zoom.scale * 1.5)
  else if (event.key === "-") zoomTo(viewer, viewer.zoom.scale / 1.5)
  else return
  event.preventDefault()
}

/** The cell of the other side that lies at the same place: of what is seen where that is known, else of the frame. */
function sameCell(viewer, cell, from, to) {
  const sizes = viewer.data.sides
  let x = (cell.col + 0.5) / viewer.maps[from].cols
  let y = (cell.row + 0.5) / viewer.maps[from].rows
  const matrix = viewer.extras?.alignment.matrix
  if (matrix) {
    const there = across(from === 0 ? matrix : inverse(matrix), x * sizes[from].width, y * sizes[from].height)
    x = there[0] / sizes[to].width
    y = there[1] / sizes[to].height
    if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return null
  }
  const { rows, cols } = viewer.maps[to]
  return { row: clamp(Math.floor(y * rows), rows), col: clamp(Math.floor(x * cols), cols) }
}

/** Outline a cell on both sides and say its share; side null lets go. */
function pointAt(viewer, side, row, col) {
  viewer.cell = side === null || !viewer.maps ? null : { side, row, col }
  viewer.sides.forEach((each, index) => {
    const cell = viewer.cell && (index === side ? viewer.cell : sameCell(viewer, viewer.cell, side, index))
    if (viewer.maps) outlineCell(each, viewer.maps[index], cell)
    each.readout.textContent = cell ? cellWords(viewer, index, cell) : viewer.cell ? "not on this picture" : sumWords(viewer, index)
  })
  viewer.live.textContent = viewer.cell
    ? viewer.sides.map((each, index) => `${viewer.data.sides[index].name}: ${each.readout.textContent}`).join(". ")
    : ""
}

function outlineCell(side, maps, cell) {
  side.outline.hidden = !cell
  if (!cell) return
  side.outline.style.left = `${(cell.col / maps.cols) * 100}%`
  side.outline.style.top = `${(cell.row / maps.rows) * 100}%`
  side.outline.style.width = `${100 / maps.cols}%`
  side.outline.style.height = `${100 / maps.rows}%`
}

function cellWords(viewer, index, cell) {
  const maps = viewer.maps[index]
  const place = `Row ${cell.row + 1}, column ${cell.col + 1}: `
  if (showsDifference(viewer)) {
    const value = differenceOf(viewer, index, viewer.layer, viewer.head)?.[cell.row * maps.cols + cell.col] ?? NaN
    const more = value > 0 ? "more in the correct run" : value < 0 ? "more in the failing run" : "the same in both"
    return `${place}${percent(Math.abs(value))} ${more}`
  }
  const share = shareAt(maps, viewer.layer, viewer.head, cell.row, cell.col)
  const times = share * maps.rows * maps.cols
  const even = viewer.data.whole && Number.isFinite(times)
    ? `, ${times.toFixed(times >= 10 ? 0 : times >= 1 ? 1 : 2)} times an even spread` : ""
  const sink = viewer.marking.sinks && isSink(viewer, index, cell) ? ", a sink" : ""
  return `${place}${percent(share)} ${viewer.data.noun}${even}${sink}`
}

function sumWords(viewer, index) {
  const sent = viewer.data?.sides[index]
  if (!viewer.maps || !sent.imageShare) return ""
  const share = sent.imageShare[viewer.layer]?.[viewer.head + 1]
  if (share === null || share === undefined) return ""
  return `${percent(share)} of ${viewer.head < 0 ? "this layer" : "this head"}'s attention goes to the picture; point at a cell for its share`
}
