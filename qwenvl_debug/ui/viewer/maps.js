// What share of attention does a cell get? Every map of a side arrives as one byte array with one scale per map.

function bytesOf(base64) {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

/**
 * Unpack a side's maps.
 * sent: {rows, cols, layers, heads, cells (base64 uint8 [layers][heads + 1][rows * cols], the mean first),
 *        scales (base64 float32 [layers][heads + 1]: the share that byte 255 stands for; NaN where no map exists)}
 */
function unpackMaps(sent) {
  const bytes = bytesOf(sent.scales)
  return {
    rows: sent.rows,
    cols: sent.cols,
    layers: sent.layers,
    heads: sent.heads,
    cells: bytesOf(sent.cells),
    scales: new Float32Array(bytes.buffer, 0, bytes.length / 4),
  }
}

/** Number of a map in the arrays; head -1 is the mean over heads. */
function mapIndex(maps, layer, head) {
  return layer * (maps.heads + 1) + head + 1
}

/** {bytes: Uint8Array [rows * cols], scale: share of byte 255, or NaN where this layer has no map} */
function mapAt(maps, layer, head) {
  const index = mapIndex(maps, layer, head)
  const size = maps.rows * maps.cols
  return { bytes: maps.cells.subarray(index * size, (index + 1) * size), scale: maps.scales[index] }
}

function shareAt(maps, layer, head, row, col) {
  const map = mapAt(maps, layer, head)
  return (map.bytes[row * maps.cols + col] / 255) * map.scale
}

/** The value that `part` of the cells do not exceed. */
function quantile(values, part) {
  const sorted = values.slice().sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]
}

/** Numbers of the layers that the colour scale has to hold. reach: "cell", "calm" or "layers". */
function scaledLayers(maps, layer, reach) {
  return reach === "layers" ? [...Array(maps.layers).keys()] : [layer]
}

/** Where the colour scale ends, as a share: one number for both sides. */
function scaleTop(sides, layer, head, reach) {
  let top = 0
  for (const maps of sides) {
    for (const each of scaledLayers(maps, layer, reach)) {
      const map = mapAt(maps, each, head)
      if (!Number.isFinite(map.scale)) continue
      const brightest = reach === "calm" ? quantile(map.bytes, 0.98) : 255
      top = Math.max(top, (brightest / 255) * map.scale)
    }
  }
  return top
}

/** The part of a map that lies on a region, 0..1; NaN where there is no map. coverage: Uint8Array, 255 is all of a cell. */
function massOn(map, coverage) {
  let inside = 0
  let all = 0
  for (let i = 0; i < map.bytes.length; i++) {
    inside += map.bytes[i] * coverage[i]
    all += map.bytes[i]
  }
  return Number.isFinite(map.scale) && all > 0 ? inside / all / 255 : NaN
}
