// What is drawn, as the server knows it? A component of its own, so that news never sends the pictures again. It leaves them
// where the editor looks for them, and tells it; see `kept.js`.

export default function (component) {
  window.qwenvlDebugDrawings = component.data
  window.dispatchEvent(new CustomEvent("qwenvl-debug-drawings"))
  return () => {
    window.qwenvlDebugDrawings = null
  }
}
