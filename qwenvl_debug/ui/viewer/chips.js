// What was said, token by token? Each token is a button: hover or focus shows how sure the model was, a click asks it,
// and Shift with a click, or a drag, asks all from one to another.

function element(tag, className, text) {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

/** {row, first, last} of a ref such as "a", "a2" or "a2-4"; a whole row goes from 0 to infinity. */
function partsOf(ref) {
  const [, row, first, last] = /^([a-z])(\d+)?(?:-(\d+))?$/.exec(ref) ?? [null, "", "0", "-1"]
  if (first === undefined) return { row, first: 0, last: Infinity }
  return { row, first: Number(first), last: Number(last ?? first) }
}

function spanRef(row, one, other) {
  const [first, last] = one <= other ? [one, other] : [other, one]
  return first === last ? `${row}${first}` : `${row}${first}-${last}`
}

/** One row of chips. chips: [{text, ref, probability, alternatives: [[text, probability], …]}]; chosen: a ref. */
function drawChips(holder, chips, chosen, onChoose, tip) {
  const asked = partsOf(chosen)
  const drag = { from: null, to: null }
  const buttons = chips.map((chip, number) => {
    const button = element("button", "chip", chip.text.trim() === "" ? "␣" : chip.text.trim())
    button.type = "button"
    if (chip.ref === null) {
      button.disabled = true
      button.classList.add("recorded")
      return button
    }
    const row = chip.ref[0]
    const asks = asked.row === row && number >= asked.first && number <= asked.last
    button.setAttribute("aria-pressed", String(asks))
    button.dataset.ref = chip.ref
    if (!/^\s/.test(chip.text)) button.classList.add("joined")
    if (Number.isFinite(chip.probability)) {
      button.style.setProperty("--sure", chip.probability.toFixed(3))
      button.classList.add("sure")
    }
    button.onclick = event => {
      const anchor = event.shiftKey && asked.row === row && Number.isFinite(asked.last) ? asked : null
      onChoose(anchor === null ? chip.ref : spanRef(row, number < anchor.first ? anchor.last : anchor.first, number))
    }
    button.onpointerdown = event => { if (event.button === 0 && !event.shiftKey) drag.from = drag.to = number }
    button.onpointerenter = event => {
      if (drag.from === null || event.buttons !== 1) return
      drag.to = number
      tip.hidden = true
      const [low, high] = [Math.min(drag.from, number), Math.max(drag.from, number)]
      buttons.forEach((each, at) => each.classList.toggle("spanned", at >= low && at <= high))
    }
    button.onmouseenter = button.onfocus = () => { if (drag.from === null) showTip(tip, button, chip) }
    button.onmouseleave = button.onblur = () => { tip.hidden = true }
    return button
  })
  holder.onpointerup = () => {
    if (drag.from !== null && drag.to !== drag.from) onChoose(spanRef(chips[drag.from].ref[0], drag.from, drag.to))
    drag.from = null
  }
  holder.onpointerleave = () => {
    drag.from = null
    buttons.forEach(each => each.classList.remove("spanned"))
  }
  holder.replaceChildren(...buttons)
}

/** The little card over a chip: probability and the five best alternatives, or who asks when it is clicked. */
function showTip(tip, anchor, chip) {
  tip.replaceChildren()
  if (Number.isFinite(chip.probability)) {
    tip.append(element("div", "tip-head", `“${chip.text.trim()}” had ${percent(chip.probability)}`))
    const list = element("div", "alternatives")
    for (const [text, probability] of chip.alternatives) {
      const name = element("span", "word", text.trim() === "" ? "␣" : text.trim())
      const bar = element("span", "amount")
      bar.style.setProperty("--sure", probability.toFixed(4))
      list.append(name, bar, element("span", "number", percent(probability)))
    }
    tip.append(list)
  }
  tip.append(element("div", "tip-hint", "Click to see where this word looked; Shift-click or drag to let several words ask"))
  tip.hidden = false
  const root = tip.parentElement.getBoundingClientRect()
  const at = anchor.getBoundingClientRect()
  const left = Math.min(at.left - root.left, root.width - tip.offsetWidth - 4)
  tip.style.left = `${Math.max(4, left)}px`
  tip.style.top = `${at.bottom - root.top + 6}px`
}

/**
 * The refs on both sides when one is chosen on one side. The other side follows where it has the same words: at the
 * same place, or where the words of both questions were matched; else it keeps what it asks.
 */
function followWords(data, ref, index) {
  const names = ["left", "right"]
  const chosen = { [names[index]]: ref }
  const { row, first, last } = partsOf(ref)
  const words = side => data.sides[side].chips[row]?.slice(first, last + 1).map(chip => chip.text.trim()).join("\n")
  const matched = data.shared.find(pair => pair[index] === ref)
  if (last === Infinity || row === "p" || words(0) === words(1)) chosen[names[1 - index]] = ref
  else if (matched) chosen[names[1 - index]] = matched[1 - index]
  return chosen
}
