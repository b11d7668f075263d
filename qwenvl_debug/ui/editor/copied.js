// Where do copied regions lie on the other picture? A component of its own, as for snapping; see `copy.js`.

export default function (component) {
  window.qwenvlDebugCopied = component.data.answer
  window.dispatchEvent(new CustomEvent("qwenvl-debug-copied"))
}
