"""What is the thing that was roughly marked? A loose outline or a scribble becomes a tight mask, by GrabCut.

GrabCut (Rother, Kolmogorov and Blake 2004, as OpenCV has it) learns the colours of what is certainly outside and of
what may be inside, and cuts between them where neighbouring pixels differ most. Its time grows with the pixels, so it
works on a reduced copy of the draft's neighbourhood; at full size only the border is found again, by a watershed in
the narrow band that the reduced copy leaves open. Of neighbourhoods beyond `LARGEST`, "full size" is that many pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from qwenvl_debug.case import Picture
from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.shapes import Brush, Mask, Region

WORKING_PIXELS = 60_000  # of the reduced copy: a few tenths of a second
LARGEST = 1_500_000  # pixels of a neighbourhood whose border is found at full size: more would take over a second
ROUGH_PIXELS = 20_000  # of the copy in which strokes look for the rest of the thing
ROUNDS = 4  # colours change little after that
AROUND = 0.3  # of the draft's size on every side: where an outline's surroundings are learnt
AROUND_STROKE = 1.0  # of the strokes' size: where the rest of the thing and its surroundings are looked for
OVERSHOOT = 0.06  # of the draft's size: how far a thing may reach beyond a rough outline
COLOURS = 48  # that stand for all those under strokes, or around them
SAME = 12  # steps of 8-bit Lab between colours that are taken for one
SPECK = 0.08  # of the largest piece's area: smaller pieces are not kept
BAND = 1.5  # cells of the reduced copy on either side of its border that are decided at full size

NOTHING = "Nothing in the draft stands out from its surroundings: draw it by hand."


def snap(picture: Picture, draft: Region) -> Mask:
    """Draw a tight mask from a rough draft.

    Args:
        picture: what the draft is drawn on.
        draft: closed shapes drawn loosely around a thing, or brush strokes on it (or both: then the strokes are surely
            inside). A brush that erases marks what is surely outside.

    Returns:
        A mask of the picture's size. The same draft gives the same mask.

    Raises:
        RegionError: the draft marks nothing on the picture or leaves nothing around itself, or nothing in it stands
            out from its surroundings.
    """
    inside, surely, never = _marks(draft, picture.size)
    marked = inside | surely
    if marked.sum() < 16:
        raise RegionError("The draft marks hardly anything on the picture: draw it larger.")
    if (marked | never).mean() > 0.98:
        raise RegionError("The draft covers the whole picture: leave out some of what is around the thing.")
    if (picture.pixels[_window(marked, AROUND)] == picture.pixels[marked][0]).all():
        raise RegionError(NOTHING)
    if not inside.any():
        inside = _found(picture.pixels, surely, never)
    window = _window(inside | surely, AROUND)
    pixels = picture.pixels[window]
    inside, surely, never = (mask[window] for mask in (inside, surely, never))
    scale = min(1.0, (WORKING_PIXELS / inside.size) ** 0.5)
    cut = _cut(_reduced(pixels, scale), *(_shrunk(mask, scale) for mask in (inside, surely, never)))
    if scale < 1:
        kept = min(1.0, (LARGEST / inside.size) ** 0.5)
        cut = _refined(_reduced(pixels, kept), cut, scale / kept)
        cut = cut if kept == 1 else _enlarged(cut, inside.shape)
    cut = _tidy((cut | surely) & ~never, surely)
    if not cut.any():
        raise RegionError(NOTHING)
    whole = np.zeros((picture.height, picture.width), bool)
    whole[window] = cut
    return Mask(whole)


def _marks(draft: Region, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels within an outline, on a stroke, and rubbed out; bool [height, width] each."""
    strokes = [shape for shape in draft.shapes if isinstance(shape, Brush)]
    parts = {
        "inside": [shape for shape in draft.shapes if not isinstance(shape, Brush)],
        "surely": [shape for shape in strokes if not shape.erase],
        "never": [Brush(shape.points, shape.size) for shape in strokes if shape.erase],
    }
    inside, surely, never = (region_mask(Region(name, tuple(shapes)), size) for name, shapes in parts.items())
    return inside & ~never, surely & ~never, never


def _found(pixels: np.ndarray, surely: np.ndarray, never: np.ndarray) -> np.ndarray:
    """What strokes alone mean, roughly: the colours under them, as against those further away; bool, as `surely`."""
    window = _window(surely, AROUND_STROKE)
    scale = min(1.0, (ROUGH_PIXELS / surely[window].size) ** 0.5)
    small = _reduced(pixels[window], scale)
    strokes, barred = (_shrunk(mask[window], scale) for mask in (surely, never))
    if not strokes.any():
        raise RegionError("The strokes are too thin for this picture: draw them with a wider brush.")
    seen = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    rim = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1], seen[barred]])
    inner, outer = _far(seen, seen[strokes]), _far(seen, rim[_far(rim, seen[strokes]) > SAME])
    rough = (inner < outer) & ~barred | strokes
    _, pieces = cv2.connectedComponents(rough.astype(np.uint8), connectivity=4)
    rough &= np.isin(pieces, pieces[strokes])
    labels = np.where(rough, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[strokes], labels[barred] = cv2.GC_FGD, cv2.GC_BGD
    cut = _tidy(_grab(small, labels), strokes).astype(np.uint8)
    found = np.zeros_like(surely)
    found[window] = cv2.resize(cut, found[window].shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return found


def _far(colours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far each colour [..., 3] lies from the nearest of the others [n, 3], of which a few dozen stand for all."""
    others = others[:: max(1, len(others) // COLOURS)]
    if not len(others):
        return np.full(colours.shape[:-1], np.inf, np.float32)
    return np.min([np.linalg.norm(colours - other, axis=-1) for other in others], axis=0)


def _window(marked: np.ndarray, around: float) -> tuple[slice, slice]:
    """The neighbourhood of what is marked, as slices of rows and columns."""
    places = [np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0)]
    margin = int(np.ceil(max(np.ptp(one) + 1 for one in places) * around)) + 8
    rows, cols = (slice(max(0, one[0] - margin), one[-1] + 1 + margin) for one in places)
    return rows, cols


def _reduced(pixels: np.ndarray, scale: float) -> np.ndarray:
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else pixels.copy()


def _shrunk(mask: np.ndarray, scale: float) -> np.ndarray:
    return _reduced(mask.astype(np.uint8) * 255, scale) > 127


def _enlarged(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def _cut(pixels: np.ndarray, inside: np.ndarray, surely: np.ndarray, never: np.ndarray) -> np.ndarray:
    """GrabCut on a small picture; bool [rows, cols]."""
    inside = inside | surely
    if not inside.any():
        raise RegionError("The draft is too thin for this picture: draw it wider.")
    reach = OVERSHOOT * max(np.ptp(np.flatnonzero(inside.any(axis))) for axis in (0, 1))
    near = _distance(~inside) <= max(1.0, reach)
    labels = np.where(inside, cv2.GC_PR_FGD, np.where(near, cv2.GC_PR_BGD, cv2.GC_BGD)).astype(np.uint8)
    labels[surely] = cv2.GC_FGD
    labels[never] = cv2.GC_BGD
    return _grab(pixels, labels)


def _grab(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(pixels, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        raise RegionError(
            "There is too little inside or around the draft to tell them apart: draw it larger, with some of what is "
            "around it."
        ) from None
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _refined(pixels: np.ndarray, small: np.ndarray, scale: float) -> np.ndarray:
    """The border at full size: the strongest edge within a band around the reduced copy's border."""
    large = _enlarged(small, pixels.shape[:2])
    band = BAND / scale
    markers = np.where(_distance(large) > band, 1, np.where(_distance(~large) > band, 2, 0)).astype(np.int32)
    markers[0], markers[-1], markers[:, 0], markers[:, -1] = (np.where(edge, 1, 2) for edge in _edges(large))
    cv2.watershed(cv2.medianBlur(pixels, 3), markers)
    return np.where(markers == -1, large, markers == 1)


def _edges(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    return mask[0], mask[-1], mask[:, 0], mask[:, -1]


def _tidy(cut: np.ndarray, surely: np.ndarray) -> np.ndarray:
    """Without specks and pinholes; where there are strokes, only the pieces that they touch."""
    number, pieces, figures, _ = cv2.connectedComponentsWithStats(cut.astype(np.uint8), connectivity=8)
    areas = figures[:, cv2.CC_STAT_AREA]
    keep = areas >= SPECK * areas[1:].max(initial=0)
    if surely.any():
        keep = np.isin(np.arange(number), pieces[surely])
    keep[0] = False
    kept = keep[pieces]
    number, holes, figures, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    pinholes = figures[:, cv2.CC_STAT_AREA] < 0.002 * kept.sum()
    pinholes[0] = False
    return kept | pinholes[holes]


def _distance(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of a mask lies from the nearest one outside it; float32, 0 outside."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
