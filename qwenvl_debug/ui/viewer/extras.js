// What is known beside the maps? Alignment, sinks and regions, in a component of their own, so that a late answer or a
// newly drawn region does not send all maps again. They are left where the viewer looks for them, and it is told.

export default function (component) {
  window.qwenvlDebugExtras = component.data
  window.dispatchEvent(new CustomEvent("qwenvl-debug-extras"))
}
