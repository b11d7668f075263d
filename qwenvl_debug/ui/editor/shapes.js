// What can be done with a shape? Its geometry in picture pixels and how it is drawn. Shapes are plain records with the
// field names that Python reads; every function here gives a new record and changes none.

const SHAPE_NAMES = { rectangle: "Rectangle", ellipse: "Ellipse", polygon: "Polygon", brush: "Brush stroke", mask: "Mask" }
const SHAPE_SIGNS = { rectangle: "▭", ellipse: "◯", polygon: "⬠", brush: "✎", mask: "▦" }
/** The number fields of a shape: [field, label, what it means]. */
const SHAPE_FIELDS = {
  rectangle: [["x", "x", "left edge"], ["y", "y", "top edge"], ["width", "width", "width"], ["height", "height", "height"]],
  ellipse: [["cx", "centre x", "centre from the left"], ["cy", "centre y", "centre from the top"],
    ["rx", "radius x", "half the width"], ["ry", "radius y", "half the height"], ["turn", "turn °", "clockwise, in degrees"]],
  polygon: [["points", "points x,y …", "corners as x,y pairs"]],
  brush: [["size", "width", "width of the brush"], ["points", "points x,y …", "places along the stroke as x,y pairs"]],
  mask: [],
}
const SVG_SPACE = "http://www.w3.org/2000/svg"

function shapeName(shape) {
  return shape.kind === "brush" && shape.erase ? "Eraser stroke" : SHAPE_NAMES[shape.kind]
}

function svgElement(tag, attributes) {
  const made = document.createElementNS(SVG_SPACE, tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  return made
}

/** Tenths of a pixel are as fine as a hand draws; number fields take any number. */
function tidy(value) {
  return Math.round(value * 10) / 10
}

function tidyPoint([x, y]) {
  return [tidy(x), tidy(y)]
}

function turned([x, y], degrees) {
  const angle = (degrees * Math.PI) / 180
  return [x * Math.cos(angle) - y * Math.sin(angle), x * Math.sin(angle) + y * Math.cos(angle)]
}

/** A shape's middle, half sizes and turn; null for those without a frame. */
function frameOf(shape) {
  if (shape.kind === "rectangle") {
    return { cx: shape.x + shape.width / 2, cy: shape.y + shape.height / 2, rx: shape.width / 2, ry: shape.height / 2, turn: 0 }
  }
  if (shape.kind === "ellipse") return { cx: shape.cx, cy: shape.cy, rx: shape.rx, ry: shape.ry, turn: shape.turn ?? 0 }
  return null
}

function withFrame(shape, { cx, cy, rx, ry, turn }) {
  if (shape.kind === "rectangle") {
    return { kind: "rectangle", x: tidy(cx - rx), y: tidy(cy - ry), width: tidy(2 * rx), height: tidy(2 * ry) }
  }
  return { kind: "ellipse", cx: tidy(cx), cy: tidy(cy), rx: tidy(rx), ry: tidy(ry), turn }
}

/** The shape between two corners of a drag. */
function spanned(kind, [x0, y0], [x1, y1]) {
  const frame = { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, rx: Math.abs(x1 - x0) / 2, ry: Math.abs(y1 - y0) / 2, turn: 0 }
  return withFrame({ kind }, frame)
}

function moved(shape, dx, dy) {
  const shift = value => tidy(value)
  switch (shape.kind) {
    case "rectangle": return { ...shape, x: shift(shape.x + dx), y: shift(shape.y + dy) }
    case "ellipse": return { ...shape, cx: shift(shape.cx + dx), cy: shift(shape.cy + dy) }
    case "mask": return shape // its pixels lie on the picture's
    default: return { ...shape, points: shape.points.map(([x, y]) => tidyPoint([x + dx, y + dy])) }
  }
}

/** Pull one side or corner of a frame to a place; the opposite one stays. side: [-1 | 0 | 1, -1 | 0 | 1]. */
function pulled(shape, [sideX, sideY], [x, y]) {
  const frame = frameOf(shape)
  const [px, py] = turned([x - frame.cx, y - frame.cy], -frame.turn)
  const [farX, farY] = [-sideX * frame.rx, -sideY * frame.ry]
  const rx = sideX ? Math.abs(px - farX) / 2 : frame.rx
  const ry = sideY ? Math.abs(py - farY) / 2 : frame.ry
  const middle = turned([sideX ? (px + farX) / 2 : 0, sideY ? (py + farY) / 2 : 0], frame.turn)
  return withFrame(shape, { ...frame, cx: frame.cx + middle[0], cy: frame.cy + middle[1], rx, ry })
}

/** Wider and taller by so many pixels; the top left stays. */
function grown(shape, dx, dy) {
  const more = (value, by) => tidy(Math.max(1, value + by))
  switch (shape.kind) {
    case "rectangle": return { ...shape, width: more(shape.width, dx), height: more(shape.height, dy) }
    case "ellipse": return { ...shape, rx: more(shape.rx, dx / 2), ry: more(shape.ry, dy / 2) }
    case "brush": return { ...shape, size: more(shape.size, dx + dy) }
    case "polygon": {
      const [left, top, wide, high] = boundsOf(shape)
      const scaleX = wide ? Math.max(1, wide + dx) / wide : 1
      const scaleY = high ? Math.max(1, high + dy) / high : 1
      return { ...shape, points: shape.points.map(([x, y]) => tidyPoint([left + (x - left) * scaleX, top + (y - top) * scaleY])) }
    }
    default: return shape
  }
}

/** [left, top, width, height] */
function boundsOf(shape) {
  if (shape.kind === "mask") return [0, 0, shape.size[1], shape.size[0]]
  const frame = frameOf(shape)
  const points = frame
    ? [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => {
      const [dx, dy] = turned([x * frame.rx, y * frame.ry], frame.turn)
      return [frame.cx + dx, frame.cy + dy]
    })
    : shape.points
  const edge = shape.kind === "brush" ? shape.size / 2 : 0
  const xs = points.map(point => point[0])
  const ys = points.map(point => point[1])
  const [left, top] = [Math.min(...xs) - edge, Math.min(...ys) - edge]
  return [left, top, Math.max(...xs) + edge - left, Math.max(...ys) + edge - top]
}

/** The shape as an SVG element without paint. */
function shapeElement(shape, colour) {
  switch (shape.kind) {
    case "rectangle": return svgElement("rect", { x: shape.x, y: shape.y, width: shape.width, height: shape.height })
    case "ellipse": {
      const { cx, cy, rx, ry, turn = 0 } = shape
      return svgElement("ellipse", { cx, cy, rx, ry, transform: `rotate(${turn} ${cx} ${cy})` })
    }
    case "polygon": return svgElement("polygon", { points: shape.points.join(" "), "fill-rule": "evenodd" })
    case "brush": {
      const points = shape.points.length === 1 ? [...shape.points, shape.points[0]] : shape.points
      return svgElement("polyline", {
        points: points.join(" "), fill: "none", "stroke-width": shape.size,
        "stroke-linecap": "round", "stroke-linejoin": "round",
      })
    }
    default:
      return svgElement("image", {
        href: maskPicture(shape, colour), width: shape.size[1], height: shape.size[0], style: "image-rendering: pixelated",
      })
  }
}

/** Points from text such as “10,20 30,40 50,60”; null where it is something else. */
function readPoints(text, least) {
  const numbers = (text.match(/-?\d+(?:\.\d+)?/g) ?? []).map(Number)
  if (/[^\d\s.,;()-]/.test(text) || numbers.length % 2 !== 0 || numbers.length < 2 * least) return null
  return Array.from({ length: numbers.length / 2 }, (_, i) => [numbers[2 * i], numbers[2 * i + 1]])
}
