// What does a colour mean? One scale for both sides, in percent; and the picture of it all, to take along.

function drawLegend(ramp, ticks, top, palette, opacity, cells) {
  ramp.width = 256
  const pen = ramp.getContext("2d")
  const table = paletteTable(palette)
  pen.clearRect(0, 0, 256, ramp.height)
  for (let i = 0; i < 256; i++) {
    pen.fillStyle = `rgba(${table[i * 3]}, ${table[i * 3 + 1]}, ${table[i * 3 + 2]}, ${cellAlpha(i / 255, opacity)})`
    pen.fillRect(i, 0, 1, ramp.height)
  }
  const marks = [[0, "0"], [1, percent(top)], [0.5, "share per cell"]]
  ticks.replaceChildren(...marks.map(([at, text]) => {
    const tick = document.createElement("span")
    tick.style.left = `${at * 100}%`
    tick.textContent = text
    return tick
  }))
  const uniform = cells === null ? Infinity : 1 / cells
  if (uniform < top) {
    const tick = document.createElement("i")
    tick.style.left = `${(uniform / top) * 100}%`
    tick.title = `An even spread would give every cell ${percent(uniform)}`
    ticks.append(tick)
  }
}

/** Both pictures with their maps and the colour scale on one canvas, as a PNG file. */
function savePicture(viewer) {
  const height = 640
  const gap = 24
  const top = 84
  const widths = viewer.sides.map(side => Math.round((side.image.naturalWidth / side.image.naturalHeight) * height))
  const canvas = document.createElement("canvas")
  canvas.width = widths[0] + widths[1] + 3 * gap
  canvas.height = top + height + 96
  const pen = canvas.getContext("2d")
  pen.fillStyle = "#ffffff"
  pen.fillRect(0, 0, canvas.width, canvas.height)
  let left = gap
  viewer.sides.forEach((side, index) => {
    const words = kind => viewer.data.sides[index].chips[kind].map(chip => chip.text).join("").trim()
    pen.fillStyle = "#1b1f24"
    pen.font = "600 20px sans-serif"
    pen.fillText(`${viewer.data.sides[index].name}: ${words("a")}`, left, 36, widths[index])
    pen.font = "16px sans-serif"
    pen.fillStyle = "#5b6470"
    pen.fillText(words("q"), left, 62, widths[index])
    pen.imageSmoothingEnabled = true
    pen.drawImage(side.image, left, top, widths[index], height)
    const pixels = paintCells(viewer.maps[index], viewer.layer, viewer.head, viewer.top, viewer.palette, viewer.opacity)
    const cells = document.createElement("canvas")
    drawCells(cells, pixels, widths[index], height)
    pen.drawImage(cells, left, top)
    left += widths[index] + gap
  })
  const base = top + height + 24
  pen.drawImage(viewer.ramp, gap, base, 320, 16)
  pen.strokeStyle = "#8a929c"
  pen.strokeRect(gap + 0.5, base + 0.5, 320, 16)
  pen.fillStyle = "#1b1f24"
  pen.font = "15px sans-serif"
  pen.fillText("0", gap, base + 38)
  pen.textAlign = "right"
  pen.fillText(percent(viewer.top), gap + 320, base + 38)
  pen.textAlign = "left"
  pen.fillText(viewer.caption(), gap + 344, base + 14)
  canvas.toBlob(blob => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = `attention-layer-${viewer.layer}-head-${viewer.head < 0 ? "mean" : viewer.head}.png`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  })
}
