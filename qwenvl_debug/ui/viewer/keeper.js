// What does the server know that the browser must follow? Which case the page shows (for the address), and where a
// click on a chart wants the viewer to go. Separate from the viewer, so that its maps are not sent again for it.

const keepers = new WeakMap()

export default function (component) {
  const { data, parentElement } = component
  enterPlace(data.place)
  // A keeper that has just appeared (page switch, reload) must not repeat an old click.
  const seen = keepers.get(parentElement)
  if (seen !== undefined && data.go.number !== seen) {
    window.dispatchEvent(new CustomEvent("qwenvl-debug-go", { detail: data.go }))
  }
  keepers.set(parentElement, data.go.number)
}
