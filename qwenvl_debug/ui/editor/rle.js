// Which pixels does a mask hold? COCO's compressed run lengths, as in Python's `regions/rle.py`: runs column by column,
// the first of zeros; from the fourth on each is written as its difference to the one before the previous.

/** Pixels of a mask record {size: [height, width], counts}: Uint8Array [height * width] in rows, 0 or 1. */
function decodeMask({ size: [height, width], counts }) {
  const runs = []
  for (let at = 0; at < counts.length;) {
    let value = 0
    let groups = 0
    let bits = 0
    do {
      bits = counts.charCodeAt(at++) - 48
      value += (bits & 0x1f) * 32 ** groups++
    } while (bits & 0x20)
    if (bits & 0x10) value -= 32 ** groups
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value)
  }
  const pixels = new Uint8Array(height * width)
  let place = 0
  runs.forEach((run, number) => {
    if (number % 2 === 1) {
      for (let i = place; i < place + run; i++) pixels[(i % height) * width + Math.floor(i / height)] = 1
    }
    place += run
  })
  return pixels
}

const decodedMasks = new Map()

/** As `decodeMask`, remembered: a mask is looked at far more often than it changes. */
function maskPixels(shape) {
  const name = `${shape.size}:${shape.counts}`
  if (!decodedMasks.has(name)) {
    if (decodedMasks.size > 40) decodedMasks.clear()
    decodedMasks.set(name, decodeMask(shape))
  }
  return decodedMasks.get(name)
}

const maskPictures = new Map()

/** A mask as a data address of a picture in one colour. */
function maskPicture(shape, colour) {
  const name = `${colour}:${shape.size}:${shape.counts}`
  if (!maskPictures.has(name)) {
    if (maskPictures.size > 40) maskPictures.clear()
    const [height, width] = shape.size
    const canvas = document.createElement("canvas")
    canvas.width = width
    canvas.height = height
    const pen = canvas.getContext("2d")
    const image = pen.createImageData(width, height)
    const rgb = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16))
    maskPixels(shape).forEach((inside, i) => { if (inside) image.data.set([...rgb, 255], i * 4) })
    pen.putImageData(image, 0, 0)
    maskPictures.set(name, canvas.toDataURL())
  }
  return maskPictures.get(name)
}

const maskOutlines = new Map()

/** The border of a mask as the d of an SVG path: every edge between a pixel inside and one outside. */
function maskOutline(shape) {
  const name = `${shape.size}:${shape.counts}`
  if (!maskOutlines.has(name)) {
    if (maskOutlines.size > 40) maskOutlines.clear()
    const [height, width] = shape.size
    const pixels = maskPixels(shape)
    const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && pixels[y * width + x] === 1
    const parts = []
    const runs = (lines, length, differs, write) => {
      for (let line = 0; line <= lines; line++) {
        for (let at = 0, from = -1; at <= length; at++) {
          const edge = at < length && differs(line, at)
          if (edge && from < 0) from = at
          else if (!edge && from >= 0) {
            parts.push(write(line, from, at))
            from = -1
          }
        }
      }
    }
    runs(height, width, (y, x) => inside(x, y) !== inside(x, y - 1), (y, from, to) => `M${from} ${y}H${to}`)
    runs(width, height, (x, y) => inside(x, y) !== inside(x - 1, y), (x, from, to) => `M${x} ${from}V${to}`)
    maskOutlines.set(name, parts.join(""))
  }
  return maskOutlines.get(name)
}
