// Where did the correct run look more, and where the failing one? The two maps of a layer and head, one less the other,
// on either side's grid. Only pictures that lie on each other cell by cell have a difference.

/**
 * Unpack how the two grids lie on each other: pieces that both pictures show, each cut from one cell of either side.
 * sent: {cells: [base64 int32, base64 int32], shares of their cells: [base64 float32, base64 float32],
 *        seen: [base64 uint8, base64 uint8], by cell, whether at least half of it is on the other picture},
 *       or null where the two grids are the same.
 */
function unpackPieces(sent) {
  if (sent === null) return null
  return {
    cells: sent.cells.map(text => new Int32Array(bytesOf(text).buffer)),
    shares: sent.shares.map(text => new Float32Array(bytesOf(text).buffer)),
    seen: sent.seen.map(bytesOf),
  }
}

/** Correct less failing on the cells of side 0 or 1, Float32Array [rows * cols]; null where a side has no map. */
function differenceOf(viewer, index, layer, head) {
  if (!viewer.extras?.difference.possible) return null
  const [left, right] = viewer.maps.map(maps => mapAt(maps, layer, head))
  if (!Number.isFinite(left.scale + right.scale)) return null
  const [unit, otherUnit] = [left.scale / 255, right.scale / 255]
  const { pieces } = viewer.extras
  const values = new Float32Array((index === 0 ? left : right).bytes.length)
  if (pieces === null) {
    for (let i = 0; i < values.length; i++) values[i] = left.bytes[i] * unit - right.bytes[i] * otherUnit
    return values
  }
  const [leftCells, rightCells] = pieces.cells
  const [leftShares, rightShares] = pieces.shares
  for (let i = 0; i < leftCells.length; i++) {
    values[pieces.cells[index][i]] +=
      left.bytes[leftCells[i]] * unit * leftShares[i] - right.bytes[rightCells[i]] * otherUnit * rightShares[i]
  }
  for (let i = 0; i < values.length; i++) if (!pieces.seen[index][i]) values[i] = NaN
  return values
}

/** The size of the largest difference, or of the largest but the highest 2 % ("calm"); cells without one do not count. */
function differencePeak(values, reach) {
  if (reach === "calm") return quantile(values.map(value => (Number.isFinite(value) ? Math.abs(value) : 0)), 0.98)
  let top = 0 // a plain loop: over all layers of a large model this is what a person waits for
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i])
    if (size > top) top = size
  }
  return top
}

/** Where the scale of the difference ends: the same to both sides of nothing, and the same on both pictures. */
function differenceTop(viewer, layer, head, reach) {
  viewer.tops ??= new Map() // over all layers it takes long enough to be worth keeping
  const key = reach === "layers" ? [viewer.dataNumber, viewer.extrasNumber, head].join() : null
  if (viewer.tops.has(key)) return viewer.tops.get(key)
  let top = 0
  for (const index of viewer.extras?.pieces ? [0, 1] : [0]) {
    for (const each of scaledLayers(viewer.maps[index], layer, reach)) {
      const values = differenceOf(viewer, index, each, head)
      if (values) top = Math.max(top, differencePeak(values, reach))
    }
  }
  if (key !== null) viewer.tops.set(key, top)
  return top
}

/** Whether the pictures show the difference now: chosen, and possible. */
function showsDifference(viewer) {
  return viewer.overlay === "difference" && Boolean(viewer.extras?.difference.possible)
}
