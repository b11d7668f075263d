// Where did it look? One side's picture with the cells of a map over it, and the cell under the pointer.

/** Build one side from the template: {root, chips…, canvas, …} */
function makeSide(template, index, viewer) {
  const root = template.content.firstElementChild.cloneNode(true)
  const find = selector => root.querySelector(selector)
  const side = {
    index, root,
    name: find(".name"), verdict: find(".verdict"),
    rows: { q: find(".question"), a: find(".answer"), t: find(".target") },
    frame: find(".frame"), sheet: find(".sheet"), image: find("img"),
    canvas: find(".cells"), outline: find(".outline"), readout: find(".readout"),
  }
  root.classList.add(index === 0 ? "correct" : "failing")
  side.canvas.onpointermove = event => {
    const box = side.canvas.getBoundingClientRect()
    const maps = viewer.maps?.[index]
    if (!maps || viewer.drag?.moved) return
    viewer.pointAt(index,
      clamp(Math.floor(((event.clientY - box.top) / box.height) * maps.rows), maps.rows),
      clamp(Math.floor(((event.clientX - box.left) / box.width) * maps.cols), maps.cols))
  }
  side.canvas.onpointerleave = () => viewer.pointAt(null)
  side.canvas.onblur = () => viewer.pointAt(null)
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
    viewer.pointAt(index, clamp(here[0] + steps[event.key][0], maps.rows), clamp(here[1] + steps[event.key][1], maps.cols))
  } else if (event.key === "Escape") viewer.pointAt(null)
  else if (event.key === "+" || event.key === "=") viewer.zoomTo(viewer.zoom.scale * 1.5)
  else if (event.key === "-") viewer.zoomTo(viewer.zoom.scale / 1.5)
  else return
  event.preventDefault()
}

/** RGBA bytes of a map, one pixel per cell. */
function paintCells(maps, layer, head, top, palette, opacity) {
  const map = mapAt(maps, layer, head)
  const pixels = new ImageData(maps.cols, maps.rows)
  if (!Number.isFinite(map.scale)) return pixels
  const table = paletteTable(palette)
  for (let i = 0; i < map.bytes.length; i++) {
    const t = top > 0 ? Math.min(1, ((map.bytes[i] / 255) * map.scale) / top) : 0
    const at = Math.round(t * 255) * 3
    pixels.data.set([table[at], table[at + 1], table[at + 2], Math.round(255 * cellAlpha(t, opacity))], i * 4)
  }
  return pixels
}

/** Draw cells with hard edges: one cell is one pixel of a small canvas, stretched without smoothing. */
function drawCells(canvas, pixels, width, height) {
  const small = new OffscreenCanvas(pixels.width, pixels.height)
  small.getContext("2d").putImageData(pixels, 0, 0)
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width
    canvas.height = height
  }
  const pen = canvas.getContext("2d")
  pen.clearRect(0, 0, width, height)
  pen.imageSmoothingEnabled = false
  pen.drawImage(small, 0, 0, width, height)
}

/** The cell of another grid that lies at the same place of its picture. */
function sameCell(cell, from, to) {
  return {
    row: clamp(Math.floor(((cell.row + 0.5) / from.rows) * to.rows), to.rows),
    col: clamp(Math.floor(((cell.col + 0.5) / from.cols) * to.cols), to.cols),
  }
}

function outlineCell(side, maps, cell) {
  side.outline.hidden = !cell
  if (!cell) return
  side.outline.style.left = `${(cell.col / maps.cols) * 100}%`
  side.outline.style.top = `${(cell.row / maps.rows) * 100}%`
  side.outline.style.width = `${100 / maps.cols}%`
  side.outline.style.height = `${100 / maps.rows}%`
}
