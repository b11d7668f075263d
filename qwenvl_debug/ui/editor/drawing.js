// What has been drawn on each picture? Regions by the picture's hash; every change is undoable, has a name of its own, and
// is sent to the server. A drawing is {sha, width, height, regions, marks, gone, …}: a region keeps its key for life, and
// its mark {change, base, trail} says which change it is, which one this browser was last given, and, where the region was
// changed here since, the changes in between. So the server can tell whether anyone else came first (`kept.js` merges).

const COLOURS = ["#d6246e", "#3a78e0", "#c79a00", "#2c9a5b", "#8b56cf", "#b0542a", "#5f7d00", "#7a7f87"]
const GIVEN = "given" // the change of a region that came with its picture, until somebody changes it

function newName() {
  return Array.from(window.crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16).padStart(2, "0")).join("")
}

/** The mark of a region that is being changed here. */
function changedMark(mark) {
  const { change, base, trail } = mark ?? { change: null, base: null, trail: null }
  return { change: newName(), base, trail: trail && change ? [...trail, change] : [] }
}

/** The mark of a region that was deleted here and is there again; the server may or may not have heard of either. */
function revivedMark({ change, base, trail }) {
  return { change: newName(), base: null, trail: [base, ...trail, change].filter(Boolean) }
}

/** A finished change: remembered, kept, sent. */
function change(editor, sha, regions) {
  remember(editor, sha, regions)
  settle(editor, sha, regions)
}

/** Remember what a change does, region by region, so that taking it back leaves alone what others did meanwhile. */
function remember(editor, sha, regions) {
  editor.undo.push({ sha, parts: differences(editor.drawings.get(sha).regions, regions) })
  if (editor.undo.length > 200) editor.undo.shift()
  editor.redo = []
}

function differences(before, after) {
  const was = new Map(before.map((region, place) => [region.key, { region, place }]))
  const is = new Map(after.map((region, place) => [region.key, { region, place }]))
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter(key => was.get(key)?.region !== is.get(key)?.region)
    .map(key => ({ key, ...(was.get(key) ?? { region: null, place: 0 }) }))
}

function settle(editor, sha, wanted) {
  const drawing = editor.drawings.get(sha)
  const before = new Map(drawing.regions.map(region => [region.key, region]))
  const regions = withOwnNames(wanted, region => before.get(region.key) !== region)
  for (const region of regions) {
    if (before.get(region.key) === region) continue
    drawing.marks[region.key] = drawing.gone[region.key]
      ? revivedMark(drawing.gone[region.key])
      : changedMark(drawing.marks[region.key])
    delete drawing.gone[region.key]
  }
  const stay = new Set(regions.map(region => region.key))
  for (const [key, region] of before) {
    if (stay.has(key)) continue
    drawing.gone[key] = { ...changedMark(drawing.marks[key]), name: region.name }
    delete drawing.marks[key]
  }
  drawing.regions = regions
  drawing.version += 1
  keepDrawing(drawing)
  sendDrawings(editor)
  editor.redraw()
}

/** Take back the last change (from: "undo", to: "redo") or the last taking back (the other way round). */
function stepBack(editor, from, to) {
  const last = editor[from].pop()
  if (!last) return
  const drawing = editor.drawings.get(last.sha)
  const parts = new Map(last.parts.map(part => [part.key, part]))
  const regions = drawing.regions.filter(region => !parts.has(region.key))
  for (const { region, place } of [...last.parts].sort((a, b) => a.place - b.place)) {
    if (region) regions.splice(Math.min(place, regions.length), 0, region)
  }
  editor[to].push({ sha: last.sha, parts: differences(drawing.regions, regions) })
  if (editor.panels.some(panel => panel.sha === last.sha)) editor.selected = null
  settle(editor, last.sha, regions)
  editor.say(from === "undo" ? "Undone" : "Done again")
}

/** What two names that look the same have in common, as in Python's `regions/names.py`. */
function nameKey(name) {
  return name.trim().split(/\s+/).join(" ").normalize("NFC")
}

/** A name that no other region of this picture has. */
function freeName(regions, wanted, except = -1) {
  const taken = new Set(regions.filter((_, number) => number !== except).map(region => nameKey(region.name)))
  if (!taken.has(nameKey(wanted))) return wanted
  const stem = wanted.replace(/\s+\d+\s*$/, "")
  let number = 2
  while (taken.has(nameKey(`${stem} ${number}`))) number++
  return `${stem} ${number}`
}

/** The regions, each with a name of its own; where two have one name, a later one of `isMine` gets another. */
function withOwnNames(regions, isMine) {
  const result = [...regions]
  result.forEach((region, number) => {
    const isTaken = result.some((other, at) =>
      at !== number && (at < number || !isMine(other)) && nameKey(other.name) === nameKey(region.name))
    if (isTaken && isMine(region)) result[number] = { ...region, name: freeName(result, region.name, number) }
  })
  return result
}

function newRegion(regions, shapes) {
  const used = new Set(regions.map(region => region.colour))
  return {
    key: newName(),
    version: 1,
    name: freeName(regions, regions.length ? `region ${regions.length + 1}` : "region 1"),
    expect: "look",
    colour: COLOURS.find(colour => !used.has(colour)) ?? COLOURS[regions.length % COLOURS.length],
    shapes,
  }
}

/** Put a shape into the panel's region of now, or into a new one; it becomes the selected one. */
function addShape(editor, panel, shape) {
  const { regions } = editor.drawings.get(panel.sha)
  if (shape.erase && panel.region === null) {
    editor.say("The eraser takes away from a region: choose one in the list first.")
    return
  }
  const number = panel.region ?? regions.length
  const next = number < regions.length
    ? regions.map((region, at) => (at === number ? { ...region, shapes: [...region.shapes, shape] } : region))
    : [...regions, newRegion(regions, [shape])]
  panel.region = number
  editor.selected = { panel, region: number, shape: next[number].shapes.length - 1 }
  change(editor, panel.sha, next)
  editor.say(`${shapeName(shape)} added to ${next[number].name}`)
}

function selectedShape(editor) {
  if (!editor.selected) return null
  const { panel, region, shape } = editor.selected
  return editor.drawings.get(panel.sha)?.regions[region]?.shapes[shape] ?? null
}

function replaceSelected(editor, shape) {
  const { panel, region, shape: place } = editor.selected
  changeRegion(editor, panel, region, each => ({
    ...each, shapes: each.shapes.map((old, number) => (number === place ? shape : old)),
  }))
}

function changeRegion(editor, panel, number, make) {
  const { regions } = editor.drawings.get(panel.sha)
  change(editor, panel.sha, regions.map((region, at) => (at === number ? make(region) : region)))
}

/** Delete the selected shape; a region whose last shape goes, goes too. */
function deleteSelected(editor) {
  const { panel, region, shape } = editor.selected
  const { regions } = editor.drawings.get(panel.sha)
  const left = regions[region].shapes.filter((_, number) => number !== shape)
  editor.selected = null
  if (!left.length) return deleteRegion(editor, panel, region)
  changeRegion(editor, panel, region, each => ({ ...each, shapes: left }))
  editor.say("Shape deleted")
}

function deleteRegion(editor, panel, number) {
  const { regions } = editor.drawings.get(panel.sha)
  editor.selected = null
  panel.region = null
  change(editor, panel.sha, regions.filter((_, at) => at !== number))
  editor.say(`Region ${regions[number].name} deleted`)
}
