// Do the two pictures lie on each other as stated? The failing one is laid on the correct one, and a border between them
// can be dragged, or the two shown in turn, so that anyone can judge by eye.

/** Where a point of one picture lies on the other. matrix: 9 numbers, row by row. */
function across(matrix, x, y) {
  const [a, b, c, d, e, f, g, h, i] = matrix
  const depth = g * x + h * y + i
  return [(a * x + b * y + c) / depth, (d * x + e * y + f) / depth]
}

function inverse([a, b, c, d, e, f, g, h, i]) {
  return [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d]
}

function makeSwipe(find, viewer) {
  const swipe = {
    root: find(".swipe"), frame: find(".swipe-frame"), under: find(".swipe .under"), over: find(".swipe .over"),
    border: find(".swipe .border"), input: find("#swipe-at"), blink: find(".blink"), button: find(".lay"), timer: null,
  }
  swipe.button.onclick = () => openSwipe(viewer, swipe.root.hidden)
  find(".swipe .close").onclick = () => {
    openSwipe(viewer, false)
    swipe.button.focus()
  }
  swipe.root.onkeydown = event => {
    if (event.key !== "Escape") return
    openSwipe(viewer, false)
    swipe.button.focus()
  }
  swipe.input.oninput = () => placeBorder(swipe)
  const drag = event => {
    const box = swipe.frame.getBoundingClientRect()
    swipe.input.value = String(Math.round(Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * 100))
    placeBorder(swipe)
  }
  swipe.frame.onpointerdown = event => {
    stopBlink(swipe)
    swipe.frame.setPointerCapture(event.pointerId)
    drag(event)
  }
  swipe.frame.onpointermove = event => { if (event.buttons === 1) drag(event) }
  swipe.blink.onclick = () => (swipe.timer === null ? startBlink(swipe) : stopBlink(swipe))
  return swipe
}

function startBlink(swipe) {
  swipe.blink.setAttribute("aria-pressed", "true")
  let shown = false
  swipe.timer = setInterval(() => {
    shown = !shown
    swipe.over.style.clipPath = shown ? "none" : "inset(0 0 0 100%)"
    swipe.border.hidden = true
  }, 600)
}

function stopBlink(swipe) {
  if (swipe.timer !== null) clearInterval(swipe.timer)
  swipe.timer = null
  swipe.blink.setAttribute("aria-pressed", "false")
  placeBorder(swipe)
}

/** The failing picture is seen to the right of the border, the correct one to the left. */
function placeBorder(swipe) {
  swipe.border.hidden = false
  swipe.border.style.left = `${swipe.input.value}%`
  swipe.over.style.clipPath = `inset(0 0 0 ${swipe.input.value}%)`
}

function openSwipe(viewer, open) {
  const { swipe } = viewer
  const possible = Boolean(viewer.extras?.alignment.matrix)
  const wasOpen = !swipe.root.hidden
  swipe.button.hidden = !possible
  swipe.root.hidden = !open || !possible
  swipe.button.setAttribute("aria-expanded", String(!swipe.root.hidden))
  stopBlink(swipe)
  if (swipe.root.hidden) return
  layPictures(viewer)
  if (!wasOpen) {
    swipe.input.focus({ preventScroll: true })
    swipe.root.scrollIntoView({ block: "center", behavior: "smooth" })
  }
}

/** Lay the failing picture on the correct one as the alignment says. */
function layPictures(viewer) {
  const { swipe } = viewer
  if (swipe.root.hidden) return
  const [left, right] = viewer.data.sides
  swipe.frame.style.setProperty("--wide", left.width)
  swipe.frame.style.setProperty("--high", left.height)
  swipe.under.src = left.picture
  const image = swipe.over.firstElementChild
  image.src = right.picture
  image.style.width = `${right.width}px`
  image.style.height = `${right.height}px`
  const scale = swipe.frame.clientWidth / left.width
  const [a, b, c, d, e, f, g, h, i] = inverse(viewer.extras.alignment.matrix)
  image.style.transform = `scale(${scale}) matrix3d(${[a, d, 0, g, b, e, 0, h, 0, 0, i, 0, c, f, 0, i].map(value => value / i)})`
  placeBorder(swipe)
}
