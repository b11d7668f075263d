// Where does a drawing live? With the server, for everyone; and in this browser's own storage, so that nothing is lost while
// the server cannot be reached or its disk is full. What the server sends is merged region by region: what was changed here
// and is not kept yet stays, everything else is the server's.

const DRAWING = "qwenvl-debug-drawing-"
const KEPT_DRAWINGS = 60
const SEND_AGAIN = [5000, 10000, 20000, 60000] // milliseconds, while something is not kept yet

/** The drawing of a picture, begun with what this browser kept of it. */
function openDrawing(editor, { sha, width, height }) {
  if (editor.drawings.has(sha)) return
  const none = { regions: [], marks: {}, gone: {}, version: 0, store: null }
  editor.drawings.set(sha, {
    ...none, ...keptDrawing(sha), sha, width, height, changes: -1, undoable: null, conflicts: new Map(),
  })
}

function keptDrawing(sha) {
  try {
    const kept = JSON.parse(window.localStorage.getItem(DRAWING + sha))
    if (!kept || !Array.isArray(kept.regions) || !Number.isInteger(kept.version)) return null
    if (kept.marks) return kept
    // from before regions had keys
    const regions = kept.version > 0 ? kept.regions.map(region => ({ ...region, key: newName() })) : []
    return { ...kept, regions, marks: Object.fromEntries(regions.map(({ key }) => [key, changedMark()])), gone: {} }
  } catch {
    return null
  }
}

function keepDrawing({ sha, version, store, regions, marks, gone }) {
  try {
    window.localStorage.setItem(DRAWING + sha, JSON.stringify({ version, store, regions, marks, gone, at: Date.now() }))
    const names = Object.keys(window.localStorage).filter(name => name.startsWith(DRAWING))
    if (names.length <= KEPT_DRAWINGS) return
    const age = name => JSON.parse(window.localStorage.getItem(name))?.at ?? 0
    names.sort((a, b) => age(a) - age(b)).slice(0, names.length - KEPT_DRAWINGS)
      .forEach(name => window.localStorage.removeItem(name))
  } catch {
    // a full or forbidden storage: the server has the drawing
  }
}

/** Whether this browser's storage holds changes of another of its windows that are not kept yet and not known here. */
function holdsMore({ sha, marks, gone }) {
  const kept = keptDrawing(sha)
  const unknown = ([key, mark]) => mark.trail && ![marks[key]?.change, gone[key]?.change].includes(mark.change)
  return Object.entries({ ...kept?.marks, ...kept?.gone }).some(unknown)
}

function isUnkept({ marks, gone, conflicts }) {
  const waiting = key => !conflicts.has(key)
  return Object.entries(marks).some(([key, { trail }]) => trail && waiting(key)) || Object.keys(gone).some(waiting)
}

/** Send the shown drawings; again after a while for as long as the server has not kept all of it. */
function sendDrawings(editor, attempt = 0) {
  const shown = editor.panels.filter(panel => panel.sha).map(panel => editor.drawings.get(panel.sha))
  editor.sent = (editor.sent ?? 0) + 1
  editor.setStateValue("drawings", Object.fromEntries(shown.map(({ sha, version, regions, marks, gone }) => [sha, {
    version,
    number: editor.sent,
    regions: regions.map(region => ({ ...region, ...marks[region.key] })),
    gone: Object.entries(gone).map(([key, mark]) => ({ key, ...mark })),
  }])))
  clearTimeout(editor.again)
  editor.again = setTimeout(() => {
    const open = editor.panels.some(panel => panel.sha && isUnkept(editor.drawings.get(panel.sha)))
    if (open && editor.parent.isConnected) sendDrawings(editor, attempt + 1)
  }, SEND_AGAIN[Math.min(attempt, SEND_AGAIN.length - 1)])
}

/** Take over what the server says is drawn on the pictures that are shown. */
function takeDrawings(editor) {
  const told = window.qwenvlDebugDrawings
  if (!told) return
  if (editor.panels.some(panel => panel.gesture)) { // never under a hand that draws
    clearTimeout(editor.late)
    editor.late = setTimeout(() => takeDrawings(editor), 300)
    return
  }
  let news = false
  for (const one of told.pictures) {
    const drawing = editor.drawings.get(one.sha)
    if (drawing && editor.panels.some(panel => panel.sha === one.sha)) news = takeDrawing(editor, drawing, told.store, one) || news
  }
  editor.redraw()
  if (news) sendDrawings(editor) // so that the server knows what is shown here
}

/** Merge one picture's drawing; true where there is something to tell the server. */
function takeDrawing(editor, drawing, store, told) {
  const first = drawing.changes < 0
  if (!first && drawing.store === store && told.changes <= drawing.changes) return false
  if (drawing.store !== store) otherStore(drawing, told)
  const before = drawing.regions
  const { regions, foreign, lacks } = merged(drawing, told)
  const own = drawing.undoable !== null && told.undoable > drawing.undoable
  Object.assign(drawing, { store, changes: lacks ? -1 : told.changes, undoable: told.undoable })
  drawing.version = Math.max(drawing.version, told.changes)
  holdPlaces(editor, drawing, before, regions)
  if (own) remember(editor, drawing.sha, regions)
  else if (foreign && !first) editor.say("Someone else drew here meanwhile.")
  drawing.regions = regions
  if (!holdsMore(drawing)) keepDrawing(drawing)
  drawMeanwhile(editor)
  return lacks || isUnkept(drawing) || (foreign && !first)
}

/** This browser's copy is from another store. Where the server has no drawing, the copy is the only one. */
function otherStore(drawing, told) {
  const only = told.changes === 0 && drawing.version > 0
  for (const [key, mark] of Object.entries(drawing.marks)) {
    if (only || mark.trail) drawing.marks[key] = { ...changedMark(), change: mark.trail ? mark.change : newName() }
  }
  drawing.gone = {}
  if (!only) return
  for (const { key } of told.regions) {
    if (!drawing.marks[key]) drawing.gone[key] = changedMark({ change: GIVEN, base: GIVEN, trail: null })
  }
}

/**
 * The regions that result; marks and conflicts are brought up to date.
 * foreign: whether someone else changed anything; lacks: whether the server thinks we have a region that we have not.
 */
function merged(drawing, { changes, regions: rows, taken }) {
  const { marks, gone, conflicts } = drawing
  const byKey = new Map(rows.map((row, place) => [row.key, { row, place }]))
  const regions = []
  let [foreign, lacks] = [false, false]
  for (const region of drawing.regions) {
    const { key } = region
    const mark = marks[key] ??= changedMark()
    const { row, place } = byKey.get(key) ?? {}
    byKey.delete(key)
    const theirs = row?.shapes ? regionOf(row, place) : null
    if (row && (!mark.trail || row.change === mark.change || (theirs && sameRegion(theirs, region)))) {
      conflicts.delete(key)
      foreign ||= row.change !== mark.change && !mark.trail
      marks[key] = { change: row.change, base: row.change, trail: null }
      regions.push(theirs && !sameRegion(theirs, region) ? theirs : region)
    } else if (row && (row.change === mark.base || mark.trail.includes(row.change))) { // ours is on its way
      conflicts.delete(key)
      Object.assign(mark, { base: row.change, trail: mark.trail.slice(mark.trail.indexOf(row.change) + 1) })
      regions.push(region)
    } else if (row) {
      conflicts.set(key, { name: region.name, theirs, change: row.change, kind: "changed" })
      regions.push(region)
    } else if (!mark.trail || taken[key] === mark.change) { // deleted by someone else
      delete marks[key]
      conflicts.delete(key)
      foreign = true
    } else {
      const stored = mark.base && mark.base !== GIVEN
      if (stored || mark.trail.includes(taken[key])) conflicts.set(key, { name: region.name, theirs: null, kind: "deleted" })
      regions.push(region)
    }
  }
  for (const [key, { row, place }] of byKey) {
    const mark = gone[key]
    if (mark) {
      if (row.change === mark.base || mark.trail.includes(row.change)) continue // our deleting is on its way
      conflicts.set(key, { name: row.name, theirs: regionOf(row, place), change: row.change, kind: "kept" })
    } else if (row.shapes) {
      marks[key] = { change: row.change, base: row.change, trail: null }
      regions.push(regionOf(row, place))
      foreign = true
    } else lacks = true
  }
  for (const key of changes > 0 ? Object.keys(gone) : []) {
    if (rows.some(row => row.key === key)) continue
    delete gone[key]
    conflicts.delete(key)
  }
  // a region that is drawn here and not kept yet makes way for one of the same name that is
  return { regions: withOwnNames(regions, ({ key }) => Boolean(marks[key]?.trail)), foreign, lacks }
}

function regionOf({ change, ...region }, place) {
  return { colour: COLOURS[place % COLOURS.length], ...region }
}

function sameRegion(one, other) {
  return one.name === other.name && one.expect === other.expect && one.colour === other.colour
    && JSON.stringify(one.shapes) === JSON.stringify(other.shapes)
}

/** What is chosen stays chosen, wherever it stands in the list now. */
function holdPlaces(editor, drawing, before, regions) {
  const moved = number => regions.findIndex(region => region.key === before[number]?.key)
  for (const panel of editor.panels) {
    if (panel.sha !== drawing.sha) continue
    if (panel.region !== null) panel.region = moved(panel.region) < 0 ? null : moved(panel.region)
    if (editor.selected?.panel !== panel) continue
    const region = moved(editor.selected.region)
    const there = regions[region]?.shapes.length > editor.selected.shape
    editor.selected = there ? { ...editor.selected, region } : null
  }
}
