// What flows where? Draws the boxes and arrows that the server sent; every text goes in as text.

function made(name, className, text) {
  const node = document.createElement(name)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return node
}

function place(node, row, column) {
  node.style.gridRow = row
  node.style.gridColumn = column
  return node
}

/** A mark's form from the kind of attention, such as "vision windowed". */
function formOf(kind) {
  return ["windowed", "indexed", "linear", "sliding", "other"].find(form => kind.endsWith(form)) ?? "full"
}

/** One mark per layer, a dot under those whose features go or come by deepstack, and a few layer numbers. */
function strip(layers) {
  const part = made("div")
  const columns = `repeat(${layers.length}, minmax(0, 1fr))`
  const marks = made("div", "strip")
  const numbers = made("div", "numbers")
  marks.style.gridTemplateColumns = numbers.style.gridTemplateColumns = columns
  const step = [1, 2, 4, 8, 16].find(size => layers.length / size <= 12) ?? 32
  layers.forEach((layer, number) => {
    const column = made("div")
    column.title = layer.words
    column.append(made("div", `mark ${formOf(layer.kind)}`), made("i", layer.tapped ? "tap on" : "tap"))
    marks.append(column)
    const last = number === layers.length - 1
    const shown = last || (number % step === 0 && layers.length - 1 - number >= step / 2)
    numbers.append(made("span", "", shown ? String(number) : ""))
  })
  part.append(marks, numbers)
  return part
}

function box(key, block, layers) {
  const node = made("div", `box ${key}`)
  node.dataset.block = key
  const top = made("div", "top")
  top.append(made("span", "title", block.title))
  if (block.size) {
    const size = made("span", "size", block.size)
    size.title = block.exact
    top.append(size)
  }
  node.append(top, ...block.facts.map(fact => made("p", "fact", fact)), made("p", "plain", block.plain))
  if (layers) node.append(strip(layers))
  if (block.share !== null) {
    const share = made("div", "share")
    const filled = made("i")
    filled.style.width = `${100 * block.share}%`
    share.title = block.exact
    share.append(filled)
    node.append(share)
  }
  return node
}

function arrow(words) {
  const node = made("div", "arrow")
  node.append(made("span", "shaft"), made("span", "words", words ?? ""))
  return node
}

/** Where each box and arrow stands: three columns; deepstack takes half of the picture's side. */
function draw(figure, data) {
  const { blocks, edges, strips } = data
  const deep = "deepstack" in blocks
  const left = "1 / 3", merger = deep ? "1 / 2" : left
  const boxes = [
    ["picture", 1, left], ["question", 1, "3"], ["vision", 3, left], ["connector", 5, merger],
    ...(deep ? [["deepstack", 5, "2 / 3"]] : []),
    ["embedding", 5, "3"], ["decoder", 7, "1 / 4"], ["head", 9, left], ["answer", 9, "3"],
  ]
  const arrows = [
    ["picture>vision", 2, left], ["question>embedding", "2 / 5", "3"], ["vision>connector", 4, merger],
    ...(deep ? [["vision>deepstack", 4, "2 / 3"], ["deepstack>decoder", 6, "2 / 3"]] : []),
    ["connector>decoder", 6, merger], ["embedding>decoder", 6, "3"], ["decoder>head", 8, left],
  ]
  figure.setAttribute("aria-label", data.alt)
  figure.replaceChildren(
    ...boxes.map(([key, row, column]) => place(box(key, blocks[key], strips[key]), row, column)),
    ...arrows.map(([key, row, column]) => place(arrow(edges[key]), row, column)),
  )
}

function drawLegend(list, data) {
  list.replaceChildren(...data.legend.map(line => {
    const item = made("li")
    item.style.setProperty("--tone", `var(--${line.part})`)
    const text = made("span")
    text.append(made("b", "", line.name), made("span", "", `  ${line.words}`))
    item.append(made("i", line.name === "deepstack" ? "tap on" : `mark ${formOf(line.name)}`), text)
    return item
  }))
}

export default function ({ data, parentElement }) {
  if (!data) return
  draw(parentElement.querySelector(".diagram"), data)
  drawLegend(parentElement.querySelector(".legend"), data)
}
