// Which regions are there? One row each: colour, name, what is expected, its shapes. New shapes go to the marked one.

const EXPECTATIONS = [["look", "look here"], ["avoid", "not here"], ["measure", "just measure"]]

function drawList(editor, panel) {
  const { regions } = editor.drawings.get(panel.sha)
  while (panel.rows.children.length > regions.length) panel.rows.lastElementChild.remove()
  while (panel.rows.children.length < regions.length) {
    panel.rows.append(makeRow(editor, panel, panel.rows.children.length))
  }
  regions.forEach((region, number) => fillRow(editor, panel, panel.rows.children[number], region, number))
  panel.empty.hidden = regions.length > 0
  panel.copy.disabled = regions.length === 0
}

function makeRow(editor, panel, number) {
  const row = editor.rowTemplate.content.firstElementChild.cloneNode(true)
  const find = selector => row.querySelector(selector)
  const alterRow = make => changeRegion(editor, panel, number, make)
  find(".colour").onchange = event => alterRow(region => ({ ...region, colour: event.target.value }))
  find(".region-name").onchange = event => {
    const { regions } = editor.drawings.get(panel.sha)
    const wanted = nameKey(event.target.value) // so that both sides' names match however an accent was typed
    if (!wanted) {
      editor.say("A region needs a name.")
      event.target.value = regions[number].name
      return
    }
    const name = freeName(regions, wanted, number)
    event.target.value = name
    alterRow(region => ({ ...region, name }))
  }
  find(".region-name").onkeydown = event => { if (event.key === "Enter") event.target.blur() }
  find(".expect").replaceChildren(...EXPECTATIONS.map(([value, label]) => new Option(label, value)))
  find(".expect").onchange = event => alterRow(region => ({ ...region, expect: event.target.value }))
  find(".add-here").onclick = () => {
    activate(editor, panel)
    panel.region = panel.region === number ? null : number
    editor.selected = null
    editor.redraw()
  }
  find(".remove").onclick = () => deleteRegion(editor, panel, number)
  return row
}

function fillRow(editor, panel, row, region, number) {
  const find = selector => row.querySelector(selector)
  const focused = row.getRootNode().activeElement
  const set = (input, value) => { if (input !== focused && input.value !== value) input.value = value }
  set(find(".colour"), region.colour)
  set(find(".region-name"), region.name)
  set(find(".expect"), region.expect)
  const here = panel.region === number
  row.classList.toggle("here", here)
  find(".add-here").setAttribute("aria-pressed", String(here))
  find(".colour").setAttribute("aria-label", `Colour of ${region.name}`)
  find(".region-name").setAttribute("aria-label", `Name of region ${number + 1}, ${panel.name.toLowerCase()} picture`)
  find(".expect").setAttribute("aria-label", `What is expected of ${region.name}`)
  find(".remove").setAttribute("aria-label", `Delete region ${region.name}`)
  find(".add-here").setAttribute("aria-label", `Add new shapes to ${region.name}`)
  find(".members").replaceChildren(...region.shapes.map((shape, place) => {
    const button = document.createElement("button")
    button.type = "button"
    button.textContent = shape.erase ? "⌫" : SHAPE_SIGNS[shape.kind]
    button.title = button.ariaLabel = `Choose ${shapeName(shape).toLowerCase()} ${place + 1} of ${region.name}`
    button.setAttribute("aria-pressed", String(isSelected(editor, panel, number, place)))
    button.onclick = () => {
      editor.active = panel
      panel.region = number
      editor.tool = "select"
      editor.selected = { panel, region: number, shape: place }
      editor.redraw()
      panel.svg.focus({ preventScroll: true })
    }
    return button
  }))
}
