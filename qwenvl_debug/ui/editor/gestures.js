// What does a hand do on the picture? Mouse, pen and fingers alike: draw, choose, move, pull a handle, pan, pinch.
// A gesture is {move(at, event), end(at), cancel()}; nothing reaches the drawing before its end.

const SMALLEST = 3 // screen pixels; a shorter drag is a click

function listenPointer(editor, panel) {
  const { svg, pointers } = panel
  svg.onpointerdown = event => {
    svg.focus({ preventScroll: true })
    activate(editor, panel)
    pointers.set(event.pointerId, event)
    try {
      svg.setPointerCapture(event.pointerId)
    } catch {
      // the pointer was lifted at once
    }
    if (pointers.size === 2) {
      panel.gesture?.cancel()
      panel.gesture = pinch(editor, panel)
    } else if (pointers.size === 1) {
      if (event.button === 1 || editor.tool === "hand") panel.gesture = pan(editor, panel, event)
      else if (event.button === 0) panel.gesture = GESTURES[editor.tool](editor, panel, placeOf(panel, event), event)
    }
    if (event.button !== 2) event.preventDefault()
  }
  svg.onpointermove = event => {
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event)
    if (panel.gesture) panel.gesture.move(placeOf(panel, event), event)
    else if (panel.outline) {
      panel.cross = tidyPoint(placeOf(panel, event))
      drawPanel(editor, panel)
    }
  }
  svg.onpointerup = event => {
    pointers.delete(event.pointerId)
    const { gesture } = panel
    panel.gesture = null
    gesture?.end(placeOf(panel, event), event)
  }
  svg.onpointercancel = event => {
    pointers.delete(event.pointerId)
    panel.gesture?.cancel()
    panel.gesture = null
  }
  svg.ondblclick = () => closePolygon(editor, panel)
  svg.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return // the page scrolls
    event.preventDefault()
    zoomAt(editor, panel, event.deltaY < 0 ? 1.25 : 1 / 1.25, placeOf(panel, event))
  }, { passive: false })
}

const GESTURES = {
  select: startSelect,
  rectangle: (editor, panel, at) => span(editor, panel, "rectangle", at),
  ellipse: (editor, panel, at) => span(editor, panel, "ellipse", at),
  polygon: placeCorner,
  brush: (editor, panel, at) => stroke(editor, panel, at, false),
  eraser: (editor, panel, at) => stroke(editor, panel, at, true),
}

function quit(editor, panel) {
  panel.draft = null
  drawPanel(editor, panel)
}

/** Drag from corner to corner; with shift the sides are equal. */
function span(editor, panel, kind, from) {
  const shapeTo = (at, event) => {
    let [dx, dy] = [at[0] - from[0], at[1] - from[1]]
    if (event?.shiftKey) {
      const side = Math.max(Math.abs(dx), Math.abs(dy))
      ;[dx, dy] = [side * (Math.sign(dx) || 1), side * (Math.sign(dy) || 1)]
    }
    return spanned(kind, from, [from[0] + dx, from[1] + dy])
  }
  return {
    move(at, event) {
      panel.draft = { value: shapeTo(at, event) }
      drawPanel(editor, panel)
    },
    end(at, event) {
      panel.draft = null
      const [, , wide, high] = boundsOf(shapeTo(at, event))
      if (Math.min(wide, high) >= SMALLEST * unitOf(panel)) addShape(editor, panel, shapeTo(at, event))
      else drawPanel(editor, panel)
    },
    cancel: () => quit(editor, panel),
  }
}

function stroke(editor, panel, from, erase) {
  const points = [tidyPoint(from)]
  const shape = () => ({ kind: "brush", points: [...points], size: editor.size, erase })
  const draw = () => {
    panel.draft = { value: shape() }
    drawPanel(editor, panel)
  }
  const add = at => {
    const [x, y] = points[points.length - 1]
    if (Math.hypot(at[0] - x, at[1] - y) >= 1.5 * unitOf(panel)) points.push(tidyPoint(at))
  }
  draw()
  return {
    move(at, event) {
      // a pen reports more places than the screen draws
      const all = event.getCoalescedEvents?.() ?? []
      for (const each of all.length ? all : [event]) add(placeOf(panel, each))
      draw()
    },
    end() {
      panel.draft = null
      addShape(editor, panel, shape())
      drawPanel(editor, panel)
    },
    cancel: () => quit(editor, panel),
  }
}

/** A corner is set where the pointer is lifted: a finger that turns out to be one of two that zoom sets none. */
function placeCorner(editor, panel) {
  return {
    move(at) {
      panel.cross = tidyPoint(at)
      drawPanel(editor, panel)
    },
    end: at => addCorner(editor, panel, at),
    cancel() {
      if (!panel.outline) panel.cross = null
      drawPanel(editor, panel)
    },
  }
}

/** A click adds a corner; one on the first corner closes the polygon. */
function addCorner(editor, panel, at) {
  const first = panel.outline?.[0]
  const near = first && Math.hypot(at[0] - first[0], at[1] - first[1]) < 9 * unitOf(panel)
  if (near && panel.outline.length >= 3) closePolygon(editor, panel)
  else {
    const last = panel.outline?.[panel.outline.length - 1]
    const again = last && Math.hypot(at[0] - last[0], at[1] - last[1]) < 2 * unitOf(panel)
    if (!again) panel.outline = [...(panel.outline ?? []), tidyPoint(at)] // the second half of a double click is no corner
    panel.cross = tidyPoint(at)
    drawPanel(editor, panel)
  }
}

function closePolygon(editor, panel) {
  if (!panel.outline) return
  if (panel.outline.length < 3) {
    editor.say("A polygon needs at least three corners.")
    return
  }
  const points = panel.outline
  panel.outline = panel.cross = null
  addShape(editor, panel, { kind: "polygon", points })
}

/** The arrow: pull a handle, or choose a shape and move it. On nothing, let go and pan when zoomed. */
function startSelect(editor, panel, from, event) {
  const name = event.target.dataset?.handle
  if (name) {
    event.target.focus({ preventScroll: true })
    const { region, shape } = editor.selected
    return alter(editor, panel, region, shape, selectedShape(editor), (before, at) => withHandleAt(before, name, at))
  }
  const hit = shapeAt(editor, panel, from, event)
  if (!hit) {
    if (editor.selected) {
      editor.selected = null
      editor.redraw()
    }
    return panel.view.width < panel.width ? pan(editor, panel, event) : null
  }
  panel.region = hit.region
  editor.selected = { panel, ...hit }
  editor.redraw()
  const before = selectedShape(editor)
  return alter(editor, panel, hit.region, hit.shape, before,
    (shape, at) => moved(shape, at[0] - from[0], at[1] - from[1]), from)
}

/** The shape under the pointer; masks count only where they hold pixels. */
function shapeAt(editor, panel, [x, y], event) {
  const shape = event.target.dataset?.shape
  const group = event.target.closest?.("[data-region]")
  if (shape !== undefined && group) return { region: Number(group.dataset.region), shape: Number(shape) }
  const { regions } = editor.drawings.get(panel.sha)
  for (let region = regions.length - 1; region >= 0; region--) {
    const place = regions[region].shapes.findIndex(each => {
      if (each.kind !== "mask" || x < 0 || y < 0 || x >= each.size[1] || y >= each.size[0]) return false
      return maskPixels(each)[Math.floor(y) * each.size[1] + Math.floor(x)] === 1
    })
    if (place >= 0) return { region, shape: place }
  }
  return null
}

/** Change a shape while dragging; one change when it ends. */
function alter(editor, panel, region, shape, before, make, from = null) {
  let value = null
  return {
    move(at) {
      if (from && !value && Math.hypot(at[0] - from[0], at[1] - from[1]) < SMALLEST * unitOf(panel)) return
      value = make(before, at)
      panel.draft = { region, shape, value }
      drawPanel(editor, panel)
      drawFields(editor)
    },
    end() {
      panel.draft = null
      if (value && JSON.stringify(value) !== JSON.stringify(before)) replaceSelected(editor, value)
      else drawPanel(editor, panel)
    },
    cancel: () => quit(editor, panel),
  }
}

function pan(editor, panel, event) {
  const from = { x: event.clientX, y: event.clientY, view: panel.view, unit: unitOf(panel) }
  return {
    move: (_, now) => setView(editor, panel, {
      ...from.view,
      x: from.view.x - (now.clientX - from.x) * from.unit,
      y: from.view.y - (now.clientY - from.y) * from.unit,
    }),
    end() {},
    cancel() {},
  }
}

/** Two fingers: their distance zooms, their middle moves. */
function pinch(editor, panel) {
  const both = () => {
    const [a, b] = [...panel.pointers.values()]
    return { x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2, far: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) }
  }
  const start = both()
  const { view } = panel
  const unit = unitOf(panel)
  const held = placeOf(panel, { clientX: start.x, clientY: start.y })
  return {
    move() {
      if (panel.pointers.size < 2) return
      const now = both()
      const width = Math.max(panel.width / 40, Math.min(panel.width, (view.width * start.far) / Math.max(1, now.far)))
      const kept = width / view.width
      setView(editor, panel, {
        x: held[0] - (held[0] - view.x) * kept - (now.x - start.x) * unit * kept,
        y: held[1] - (held[1] - view.y) * kept - (now.y - start.y) * unit * kept,
        width,
      })
    },
    end() {},
    cancel() {},
  }
}
