// How does a link reopen this view? The browser's address is kept true here, without a trip to the server:
// the server reads it only when a session begins.

/** Set (or, with null, remove) parts of the address's query; everything else stays. */
function writeAddress(changes) {
  const address = new URL(window.location.href)
  const before = address.search
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") address.searchParams.delete(name)
    else address.searchParams.set(name, String(value))
  }
  if (address.search !== before) window.history.replaceState(window.history.state, "", address.toString())
}

/**
 * Make the address name the case on the page. Another case than before forgets the view of the last one.
 * place: {scope: names that tell cases apart, view: names that belong to the view, address: {name: value}}
 */
function enterPlace(place) {
  const now = new URL(window.location.href).searchParams
  const another = place.scope.some(name => (now.get(name) ?? "") !== String(place.address[name] ?? ""))
  const forgotten = another ? Object.fromEntries(place.view.map(name => [name, null])) : {}
  writeAddress({ ...forgotten, ...place.address })
}
