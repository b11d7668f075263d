// What is marked on the pictures beside the map? Cells that draw attention whatever is asked (sinks), and the regions that
// someone has drawn; and how much of what is shown lies on each region.

const SINK_COLOUR = "#e0218a"

/** Take over what is known beside the maps: alignment, sinks, regions. It comes on its own, so that no map is sent again. */
function takeExtras(viewer) {
  const sent = window.qwenvlDebugExtras
  viewer.extras = null
  viewer.extrasNumber = (viewer.extrasNumber ?? 0) + 1
  if (!sent || !viewer.maps || sent.id !== viewer.data.id) return
  viewer.extras = {
    ...sent,
    pieces: unpackPieces(sent.pieces),
    regions: sent.regions.map(side => side.map(region => ({ ...region, coverage: bytesOf(region.coverage) }))),
    sinks: sent.sinks && sent.sinks.sides.map(layers => layers.map(cells => new Set(cells))),
  }
  wantSinks(viewer)
}

/** Sinks take a moment to find: they are asked for when someone wants to see them. */
function wantSinks(viewer) {
  if (!viewer.marking.sinks || !viewer.extras || viewer.extras.sinks || viewer.sinksAsked) return
  viewer.sinksAsked = true
  viewer.setStateValue("sinks", true)
}

function isSink(viewer, index, cell) {
  return Boolean(viewer.extras?.sinks?.[index][viewer.layer]?.has(cell.row * viewer.maps[index].cols + cell.col))
}

/** The marks on a picture now, in its pixels: [{path, colour, fill, width (of the line on screen)}]. */
function marksOf(viewer, index) {
  const marks = []
  if (!viewer.extras) return marks
  if (viewer.marking.regions) {
    for (const region of viewer.extras.regions[index]) {
      marks.push({ path: region.path, colour: "#ffffff", width: 3.5 })
      marks.push({ path: region.path, colour: region.colour, width: 2, fill: `${region.colour}14`, name: region.name })
    }
  }
  const sinks = viewer.marking.sinks ? viewer.extras.sinks?.[index][viewer.layer] : null
  if (sinks?.size) {
    const { rows, cols } = viewer.maps[index]
    const { width, height } = viewer.data.sides[index]
    const [w, h] = [width / cols, height / rows]
    const path = [...sinks].map(cell => {
      const [x, y] = [(cell % cols) * w, Math.floor(cell / cols) * h]
      const part = (dx, dy) => `${x + dx * w} ${y + dy * h}`
      return `M${part(0.3, 0.3)}L${part(0.7, 0.7)}M${part(0.7, 0.3)}L${part(0.3, 0.7)}M${part(0.06, 0.06)}H${x + 0.94 * w}V${y + 0.94 * h}H${x + 0.06 * w}Z`
    }).join("")
    marks.push({ path, colour: "#ffffff", width: 3.5 }, { path, colour: SINK_COLOUR, width: 1.5, name: "sink" })
  }
  return marks
}

function drawMarks(viewer) {
  viewer.sides.forEach((side, index) => {
    const sent = viewer.data.sides[index]
    side.marks.setAttribute("viewBox", `0 0 ${sent.width} ${sent.height}`)
    side.marks.replaceChildren(...marksOf(viewer, index).map(({ path, colour, fill, width, name }) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", "path")
      for (const [key, value] of Object.entries({ d: path, stroke: colour, fill: fill ?? "none", "stroke-width": width })) {
        made.setAttribute(key, String(value))
      }
      if (name) made.dataset.name = name
      return made
    }))
  })
  drawRegionShares(viewer)
  drawSinkWords(viewer)
}

/** One line for each region: its share of what is shown, on both sides, beside chance. */
function drawRegionShares(viewer) {
  const holder = viewer.regionShares
  const names = viewer.extras ? [...new Set(viewer.extras.regions.flat().map(region => region.name))] : []
  holder.hidden = names.length === 0 || !viewer.marking.regions
  if (holder.hidden) return
  holder.replaceChildren(element("span", "region-what", `On regions, ${viewer.place()}:`), ...names.map(name => {
    const sides = viewer.extras.regions.map(regions => regions.find(region => region.name === name))
    const line = element("span", "region-share")
    const swatch = element("i", "swatch")
    swatch.style.background = (sides[0] ?? sides[1]).colour
    line.append(swatch, element("b", "", name))
    sides.forEach((region, index) => {
      const map = mapAt(viewer.maps[index], viewer.layer, viewer.head)
      const mass = region && (region.undefined ? NaN : massOn(map, region.coverage))
      const words = region ? `${percent(mass)} (chance ${percent(region.chance)})` : "not drawn"
      const part = element("span", index === 0 ? "correct" : "failing", `${index === 0 ? "correct" : "failing"} ${words}`)
      part.title = region?.undefined ?? ""
      line.append(part)
    })
    return line
  }))
}

function drawSinkWords(viewer) {
  const sinks = viewer.extras?.sinks
  viewer.sinkWords.hidden = !viewer.marking.sinks
  if (!viewer.marking.sinks) return
  const counts = sinks?.map(side => side[viewer.layer]?.size ?? 0)
  viewer.sinkWords.textContent = !sinks ? "Looking for sinks …"
    : counts[0] + counts[1] === 0 ? `No sinks at layer ${viewer.layer}.`
      : `⊠ marks sinks at layer ${viewer.layer}: ${counts[0]} correct, ${counts[1]} failing.`
  viewer.sinkWords.classList.toggle("found", Boolean(counts && counts[0] + counts[1]))
  viewer.sinkWords.title = window.qwenvlDebugExtras?.sinks?.rule ?? ""
}
