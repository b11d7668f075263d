// How do the regions of one picture come onto the other? The server knows how the pictures are aligned and carries them
// there (`compare/sided.py`); those of the same name there are replaced.

/** Ask the server where every region of a picture lies on the other. */
function copyAll(editor, from, to) {
  const number = `${Date.now()}-${Math.random().toString(36).slice(2, 8)}`
  const { regions } = editor.drawings.get(from.sha)
  editor.copying = { number, from: from.sha, to: to.sha, regions }
  const plain = regions.map(({ name, expect, shapes }) => ({ version: 1, name, expect, shapes }))
  editor.setTriggerValue("copy", { number, from: from.sha, to: to.sha, regions: plain })
  editor.say(`Copying to the ${to.name.toLowerCase()} picture …`)
}

/** The server's answer; one that nobody waits for any more, or that is about pictures no longer shown, is left. */
function takeCopied(editor) {
  const answer = window.qwenvlDebugCopied
  const wish = editor.copying
  if (!wish || !answer || answer.number !== wish.number) return
  editor.copying = null
  const panel = editor.panels.find(one => one.sha === wish.to)
  if (!panel) return
  if (answer.error) {
    editor.say(answer.error)
    return
  }
  const target = editor.drawings.get(wish.to)
  const keys = new Map(target.regions.map(region => [nameKey(region.name), region.key]))
  const copies = answer.regions.map(({ place, shapes }) => {
    const region = wish.regions[place]
    return { ...region, key: keys.get(nameKey(region.name)) ?? newName(), shapes }
  })
  const names = new Set(copies.map(region => nameKey(region.name)))
  editor.selected = null
  panel.region = null
  const others = target.regions.filter(region => !names.has(nameKey(region.name)))
  if (copies.length) change(editor, wish.to, [...copies, ...others])
  editor.say(answer.said)
}
