// How are cells painted? One pixel per cell, stretched without smoothing, so that every cell keeps hard edges.

/** ImageData of a map on a scale that ends at `top`; clear where there is no map. table: see `shareTable`. */
function paintShares(maps, map, top, table) {
  const pixels = new ImageData(maps.cols, maps.rows)
  if (!Number.isFinite(map.scale)) return pixels
  const out = new Uint32Array(pixels.data.buffer)
  const step = top > 0 ? map.scale / top : 0
  for (let i = 0; i < out.length; i++) out[i] = table[Math.min(255, Math.round(map.bytes[i] * step))]
  return pixels
}

/** ImageData of a difference on a scale from -top to top. table: see `differenceTable`. */
function paintDifference(maps, values, top, table) {
  const pixels = new ImageData(maps.cols, maps.rows)
  if (values === null) return pixels
  const out = new Uint32Array(pixels.data.buffer)
  const step = top > 0 ? 255 / top : 0
  for (let i = 0; i < out.length; i++) {
    const at = Math.round(values[i] * step) // NaN where the other picture shows nothing: left clear
    out[i] = Number.isFinite(at) ? table[255 + Math.max(-255, Math.min(255, at))] : 0
  }
  return pixels
}

/** What lies over a side's picture now. */
function paintSide(viewer, index) {
  const maps = viewer.maps[index]
  if (showsDifference(viewer)) {
    const values = differenceOf(viewer, index, viewer.layer, viewer.head)
    return paintDifference(maps, values, viewer.top, differenceTable(viewer.opacity))
  }
  return paintShares(maps, mapAt(maps, viewer.layer, viewer.head), viewer.top, shareTable(viewer.palette, viewer.opacity))
}

/** Draw cells with hard edges on a canvas of any size. */
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

/** Draw cells on a canvas that has one pixel per cell; the style sheet enlarges it. */
function drawSmall(canvas, pixels) {
  if (canvas.width !== pixels.width || canvas.height !== pixels.height) {
    canvas.width = pixels.width
    canvas.height = pixels.height
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0)
}
