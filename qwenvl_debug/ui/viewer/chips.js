// What was said, token by token? Each token is a button: hover or focus shows how sure the model was, a click asks it.

function element(tag, className, text) {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

/** One row of chips. chips: [{text, ref, probability, alternatives: [[text, probability], …]}]; chosen: a ref. */
function drawChips(holder, chips, chosen, onChoose, tip) {
  const whole = chosen.replace(/\d+$/, "")
  holder.replaceChildren(...chips.map(chip => {
    const button = element("button", "chip", chip.text.trim() === "" ? "␣" : chip.text.trim())
    button.type = "button"
    if (chip.ref === null) {
      button.disabled = true
      button.classList.add("recorded")
      return button
    }
    const asked = chip.ref === chosen || (whole === chosen && chip.ref.replace(/\d+$/, "") === whole)
    button.setAttribute("aria-pressed", String(asked))
    button.dataset.ref = chip.ref
    if (!/^\s/.test(chip.text)) button.classList.add("joined")
    if (Number.isFinite(chip.probability)) {
      button.style.setProperty("--sure", chip.probability.toFixed(3))
      button.classList.add("sure")
    }
    button.onclick = () => onChoose(chip.ref)
    button.onmouseenter = button.onfocus = () => showTip(tip, button, chip)
    button.onmouseleave = button.onblur = () => { tip.hidden = true }
    return button
  }))
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
  tip.append(element("div", "tip-hint", "Click to see where this word looked"))
  tip.hidden = false
  const root = tip.parentElement.getBoundingClientRect()
  const at = anchor.getBoundingClientRect()
  const left = Math.min(at.left - root.left, root.width - tip.offsetWidth - 4)
  tip.style.left = `${Math.max(4, left)}px`
  tip.style.top = `${at.bottom - root.top + 6}px`
}
