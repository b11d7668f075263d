// Which colour stands for which share? Perceptually even scales, with the colours of the saved overlays
// at nine places; in between they are mixed. A difference has a scale of its own, the same in both directions.

const PALETTES = {
  Magma: ["#000004", "#1d1147", "#51127c", "#832681", "#b73779", "#e55064", "#fb8761", "#fec287", "#fcfdbf"],
  Viridis: ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#27ad81", "#5cc863", "#aadc32", "#fde725"],
  Cividis: ["#00224e", "#1a386f", "#434e6c", "#61656f", "#7d7c78", "#9a9376", "#bbad6d", "#ddc858", "#fee838"],
  Greys: ["#101010", "#2b2b2b", "#474747", "#656565", "#858585", "#a6a6a6", "#c8c8c8", "#e6e6e6", "#ffffff"],
}
// The colours of the two sides everywhere on the page: more in the failing run, more in the correct one.
const DIFFERENCE_COLOURS = [[217, 98, 15], [15, 138, 153]]

const paletteTables = new Map()

function remembered(key, make) {
  if (!paletteTables.has(key)) paletteTables.set(key, make())
  return paletteTables.get(key)
}

/** 256 RGB colours of a palette, Uint8ClampedArray [256 * 3]. */
function paletteTable(name) {
  return remembered(name, () => {
    const anchors = (PALETTES[name] ?? PALETTES.Magma).map(hex =>
      [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16)))
    const table = new Uint8ClampedArray(256 * 3)
    for (let i = 0; i < 256; i++) {
      const place = (i / 255) * (anchors.length - 1)
      const low = Math.min(Math.floor(place), anchors.length - 2)
      for (let c = 0; c < 3; c++) {
        table[i * 3 + c] = anchors[low][c] + (place - low) * (anchors[low + 1][c] - anchors[low][c])
      }
    }
    return table
  })
}

/** How opaque a cell is at t (0..1 of the scale): faint cells let the picture through, strong ones cover it. */
function cellAlpha(t, opacity) {
  return opacity * (0.15 + 0.85 * Math.sqrt(t))
}

/** 256 colours as pixels of four bytes, Uint32Array [256]; opacity null: opaque whatever the share. */
function shareTable(palette, opacity) {
  return remembered(`${palette} ${opacity}`, () => {
    const colours = paletteTable(palette)
    const bytes = new Uint8ClampedArray(256 * 4)
    for (let i = 0; i < 256; i++) {
      bytes.set(colours.subarray(i * 3, i * 3 + 3), i * 4)
      bytes[i * 4 + 3] = opacity === null ? 255 : 255 * cellAlpha(i / 255, opacity)
    }
    return new Uint32Array(bytes.buffer)
  })
}

/** 511 colours from as much more in the failing run to as much more in the correct one; no difference is clear. */
function differenceTable(opacity) {
  return remembered(`difference ${opacity}`, () => {
    const bytes = new Uint8ClampedArray(511 * 4)
    for (let i = 0; i < 511; i++) {
      bytes.set(DIFFERENCE_COLOURS[i < 255 ? 0 : 1], i * 4)
      bytes[i * 4 + 3] = 255 * opacity * (Math.abs(i - 255) / 255) ** 0.7
    }
    return new Uint32Array(bytes.buffer)
  })
}

/** A share (0..1) in words, with as many digits as it deserves. */
function percent(share) {
  if (!Number.isFinite(share)) return "no value"
  const value = share * 100
  if (value === 0) return "0 %"
  if (value < 0.01) return "< 0.01 %"
  return `${value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2)} %`
}
