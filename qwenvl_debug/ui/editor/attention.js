// Which map lies under the drawing? A component of its own, so that a step of the layer slider sends only the cells and
// never the pictures again. It leaves them where the editor looks for them, and tells it.

export default function (component) {
  window.qwenvlDebugAttention = component.data
  window.dispatchEvent(new CustomEvent("qwenvl-debug-attention"))
  return () => {
    window.qwenvlDebugAttention = null
    window.dispatchEvent(new CustomEvent("qwenvl-debug-attention"))
  }
}
