// How does a view leave the page? Both pictures with their maps, marks and colour scale on one canvas, as a PNG file.

const SAVED = { height: 640, gap: 24, top: 84, bottom: 96 }

function savePicture(viewer) {
  const { height, gap, top, bottom } = SAVED
  const widths = viewer.sides.map(side => Math.round((side.image.naturalWidth / side.image.naturalHeight) * height))
  const canvas = document.createElement("canvas")
  canvas.width = widths[0] + widths[1] + 3 * gap
  canvas.height = top + height + bottom
  const pen = canvas.getContext("2d")
  pen.fillStyle = "#ffffff"
  pen.fillRect(0, 0, canvas.width, canvas.height)
  let left = gap
  viewer.sides.forEach((side, index) => {
    saveSide(viewer, pen, index, left, widths[index])
    left += widths[index] + gap
  })
  saveScale(viewer, pen)
  canvas.toBlob(blob => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    const what = showsDifference(viewer) ? "difference" : "attention"
    link.download = `${what}-layer-${viewer.layer}-head-${viewer.head < 0 ? "mean" : viewer.head}.png`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  })
}

function saveSide(viewer, pen, index, left, width) {
  const { height, top } = SAVED
  const side = viewer.sides[index]
  const words = kind => viewer.data.sides[index].chips[kind].map(chip => chip.text).join("").trim()
  pen.fillStyle = "#1b1f24"
  pen.font = "600 20px sans-serif"
  pen.fillText(`${viewer.data.sides[index].name}: ${words("a")}`, left, 36, width)
  pen.font = "16px sans-serif"
  pen.fillStyle = "#5b6470"
  pen.fillText(words("q"), left, 62, width)
  pen.imageSmoothingEnabled = true
  pen.filter = showsDifference(viewer) ? "grayscale(1)" : "none"
  pen.drawImage(side.image, left, top, width, height)
  pen.filter = "none"
  const cells = document.createElement("canvas")
  drawCells(cells, paintSide(viewer, index), width, height)
  pen.drawImage(cells, left, top)
  pen.save()
  pen.translate(left, top)
  pen.scale(width / viewer.data.sides[index].width, height / viewer.data.sides[index].height)
  for (const { path, colour, fill, width: stroke } of marksOf(viewer, index)) {
    pen.lineWidth = (stroke * viewer.data.sides[index].width) / width
    pen.strokeStyle = colour
    pen.stroke(new Path2D(path))
    if (fill) {
      pen.fillStyle = fill
      pen.fill(new Path2D(path), "evenodd")
    }
  }
  pen.restore()
}

function saveScale(viewer, pen) {
  const base = SAVED.top + SAVED.height + 24
  const left = SAVED.gap
  pen.imageSmoothingEnabled = true
  pen.drawImage(viewer.ramp, left, base, 320, 16)
  pen.strokeStyle = "#8a929c"
  pen.strokeRect(left + 0.5, base + 0.5, 320, 16)
  pen.fillStyle = "#1b1f24"
  pen.font = "15px sans-serif"
  for (const [at, text] of legendMarks(viewer)) {
    pen.textAlign = at === 0 ? "left" : at === 1 ? "right" : "center"
    pen.fillText(text, left + at * 320, base + 38)
  }
  pen.textAlign = "left"
  pen.fillText(viewer.caption(), left + 344, base + 14)
}
