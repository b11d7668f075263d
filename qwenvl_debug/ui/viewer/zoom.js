// How close are the pictures? Both are enlarged and moved together, so that the same place stays in view on both.

function listenZoom(viewer, side) {
  side.frame.addEventListener("wheel", event => {
    if (!event.ctrlKey) return
    event.preventDefault()
    zoomTo(viewer, viewer.zoom.scale * (event.deltaY < 0 ? 1.2 : 1 / 1.2))
  }, { passive: false })
  side.frame.onpointerdown = event => {
    if (viewer.zoom.scale > 1) viewer.drag = { x: event.clientX, y: event.clientY, from: { ...viewer.zoom }, moved: false }
  }
  side.frame.onpointermove = event => {
    if (!viewer.drag) return
    viewer.drag.moved = true
    const { width, height } = side.frame.getBoundingClientRect()
    const { from } = viewer.drag
    zoomTo(viewer, from.scale, from.x - (event.clientX - viewer.drag.x) / (width * from.scale),
      from.y - (event.clientY - viewer.drag.y) / (height * from.scale))
  }
  side.frame.onpointerup = side.frame.onpointerleave = () => { viewer.drag = null }
}

function zoomTo(viewer, scale, x = viewer.zoom.x, y = viewer.zoom.y) {
  const kept = Math.max(1, Math.min(8, scale))
  const edge = 0.5 / kept
  viewer.zoom = { scale: kept, x: Math.max(edge, Math.min(1 - edge, x)), y: Math.max(edge, Math.min(1 - edge, y)) }
  for (const side of viewer.sides) {
    side.sheet.style.transform =
      `scale(${kept}) translate(${(0.5 / kept - viewer.zoom.x) * 100}%, ${(0.5 / kept - viewer.zoom.y) * 100}%)`
    side.frame.classList.toggle("zoomed", kept > 1)
  }
  viewer.parent.querySelector(".zoom").setAttribute("aria-pressed", String(kept > 1))
}
