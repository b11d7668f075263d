// What does a colour mean? One scale for both sides, in percent.

function drawLegend(viewer) {
  const { ramp, ticks, top, opacity } = viewer
  const differs = showsDifference(viewer)
  const table = differs ? differenceTable(opacity) : shareTable(viewer.palette, opacity)
  ramp.width = table.length
  const pixels = new ImageData(table.length, 1)
  new Uint32Array(pixels.data.buffer).set(table)
  const pen = ramp.getContext("2d")
  for (let row = 0; row < ramp.height; row++) pen.putImageData(pixels, 0, row)
  ticks.replaceChildren(...legendMarks(viewer).map(([at, text]) => {
    const tick = element("span", at === 0 ? "at-start" : at === 1 ? "at-end" : "", text)
    tick.style.left = `${at * 100}%`
    return tick
  }))
  const uniform = viewer.data.whole && !differs ? 1 / (viewer.maps[0].rows * viewer.maps[0].cols) : Infinity
  if (uniform < top) {
    const tick = document.createElement("i")
    tick.style.left = `${(uniform / top) * 100}%`
    tick.title = `An even spread would give every cell ${percent(uniform)}`
    ticks.append(tick)
  }
}

/** [place 0..1, words] along the scale. */
function legendMarks(viewer) {
  if (!showsDifference(viewer)) return [[0, "0"], [0.5, "share per cell"], [1, percent(viewer.top)]]
  return [[0, `failing +${percent(viewer.top)}`], [0.5, "0"], [1, `correct +${percent(viewer.top)}`]]
}
