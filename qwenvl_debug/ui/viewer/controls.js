// What can be set, and what does setting it do? Everything here redraws in the browser; only other words, another way to
// count, or another way to lay the pictures on each other, ask the server.

const SETTINGS = "qwenvl-debug-view"
const INPUTS = ["layer", "head", "asks", "shows", "align", "overlay", "opacity", "palette", "reach", "sinks", "regions"]

function keptSettings() {
  try {
    return JSON.parse(window.localStorage.getItem(SETTINGS) ?? "{}")
  } catch {
    return {}
  }
}

function keepSettings(viewer) {
  const { opacity, palette, reach, folded, marking } = viewer
  window.localStorage.setItem(SETTINGS, JSON.stringify({ opacity, palette, reach, folded, marking }))
}

/** Fill a select. options: [[value, label, tooltip, group]]; those with a group stand under its heading. */
function fillSelect(select, options, value) {
  const wanted = JSON.stringify(options)
  if (select.dataset.options !== wanted) {
    const groups = new Map()
    select.replaceChildren()
    for (const [key, label, tooltip, group] of options) {
      const option = new Option(label, key)
      if (tooltip) option.title = tooltip
      if (group && !groups.has(group)) {
        groups.set(group, document.createElement("optgroup"))
        groups.get(group).label = group
        select.append(groups.get(group))
      }
      (groups.get(group) ?? select).append(option)
    }
    select.dataset.options = wanted
  }
  select.value = value
}

function fillControls(viewer) {
  const { inputs, data } = viewer
  fillSelect(inputs.head, [[-1, "mean"], ...Array.from({ length: data.heads }, (_, head) => [head, String(head)])], String(viewer.head))
  const { left, right } = data.query
  const asks = left === right ? left : `${left}|${right}`
  fillSelect(inputs.asks, data.asks, asks)
  fillSelect(inputs.shows, data.shows, data.wanted)
  fillSelect(inputs.align, data.aligns, data.query.align)
  inputs.shows.title = data.shows.find(([key]) => key === data.wanted)?.[2] ?? ""
  fillSelect(inputs.overlay, [["own", "each side's map"], ["difference", "difference"]], viewer.overlay)
  inputs.layer.max = String(Math.max(0, data.layers - 1))
}

/** Show where the controls stand. */
function showControls(viewer) {
  const { inputs, data } = viewer
  for (const input of Object.values(inputs)) input.disabled = !viewer.maps
  viewer.parent.querySelectorAll(".buttons button").forEach(button => { button.disabled = !viewer.maps })
  viewer.ramp.parentElement.classList.toggle("empty", !viewer.maps)
  if (!viewer.maps) return
  inputs.layer.value = String(viewer.layer)
  inputs.layer.setAttribute("aria-valuetext", `layer ${viewer.layer}`)
  inputs.head.value = String(viewer.head)
  viewer.parent.querySelector(".layer-value").textContent = `${viewer.layer} of ${data.layers - 1}`
  const { difference } = viewer.extras ?? { difference: { possible: false, why: "The pictures are still being laid on each other." } }
  inputs.overlay.options[1].disabled = !difference.possible
  inputs.overlay.title = difference.possible ? "" : difference.why
  inputs.overlay.value = showsDifference(viewer) ? "difference" : "own"
  inputs.palette.disabled = showsDifference(viewer)
  const drawn = Boolean(viewer.extras?.regions.some(side => side.length))
  inputs.regions.parentElement.hidden = !drawn
  inputs.regions.checked = viewer.marking.regions
  inputs.sinks.checked = viewer.marking.sinks
}

function listen(viewer, find) {
  const { inputs } = viewer
  inputs.layer.oninput = () => viewer.open({ layer: Number(inputs.layer.value) })
  inputs.head.onchange = () => viewer.open({ head: Number(inputs.head.value) })
  for (const name of ["palette", "reach", "overlay"]) {
    inputs[name].onchange = () => {
      viewer[name] = inputs[name].value
      redraw(viewer)
    }
  }
  inputs.opacity.oninput = () => {
    viewer.opacity = Number(inputs.opacity.value) / 100
    redraw(viewer)
  }
  for (const name of ["sinks", "regions"]) {
    inputs[name].onchange = () => {
      viewer.marking[name] = inputs[name].checked
      redraw(viewer)
      wantSinks(viewer)
    }
  }
  inputs.asks.onchange = () => {
    const [left, right = left] = inputs.asks.value.split("|")
    ask(viewer, { left, right })
  }
  inputs.shows.onchange = () => ask(viewer, { shows: inputs.shows.value })
  inputs.align.onchange = () => ask(viewer, { align: inputs.align.value })
  find(".zoom").onclick = () => zoomTo(viewer, viewer.zoom.scale > 1 ? 1 : 2)
  find(".save").onclick = () => savePicture(viewer)
  find(".copy").onclick = async event => {
    saveAddress(viewer)
    await navigator.clipboard.writeText(window.location.href)
    const button = event.target
    button.textContent = "Copied"
    setTimeout(() => { button.textContent = "Copy link" }, 1500)
  }
  for (const side of viewer.sides) listenZoom(viewer, side)
  viewer.follow = event => follow(viewer, event.detail)
  viewer.learn = () => {
    takeExtras(viewer)
    redraw(viewer)
  }
  window.addEventListener("qwenvl-debug-go", viewer.follow)
  window.addEventListener("qwenvl-debug-extras", viewer.learn)
  viewer.watch = new ResizeObserver(() => {
    paint(viewer)
    layPictures(viewer)
  })
  viewer.sides.forEach(side => viewer.watch.observe(side.frame))
}

function stopListening(viewer) {
  window.removeEventListener("qwenvl-debug-go", viewer.follow)
  window.removeEventListener("qwenvl-debug-extras", viewer.learn)
  viewer.watch.disconnect()
  clearTimeout(viewer.saving)
  stopBlink(viewer.swipe)
}

/** Go where the page asks: a click on a chart always, a suggestion only while nobody has moved. */
function follow(viewer, go) {
  if (!viewer.maps || (go.suggested && viewer.moved)) return
  const moved = viewer.moved
  viewer.open({
    layer: clamp(go.layer, viewer.data.layers),
    head: go.head === null ? viewer.head : Math.min(go.head, viewer.data.heads - 1),
  })
  if (go.suggested) viewer.moved = moved
  else viewer.parent.querySelector(".viewer").scrollIntoView({ block: "nearest", behavior: "smooth" })
}

/** Ask the server for other words, another way to count or to lay the pictures; what `query` leaves out stays. */
function ask(viewer, query) {
  const { left, right, align } = viewer.data.query
  saveAddress(viewer)
  viewer.setStateValue("query", { left, right, align, shows: viewer.data.wanted, ...query })
}
