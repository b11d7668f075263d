// What did snapping find? A component of its own, so that an answer never sends the pictures again; see `snap.js`.

export default function (component) {
  window.qwenvlDebugSnap = component.data.answer
  window.dispatchEvent(new CustomEvent("qwenvl-debug-snap"))
}
