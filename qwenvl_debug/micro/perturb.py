"""What makes a picture harder, in a strength from 0 (as it was) to 1: weather, light, things in the way, framing.

Each function takes a scene and gives a scene back, the ground truth moved along with the picture. None of them
changes what the right answer is; whether the model still finds it is for the model to show.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from qwenvl_debug.micro.scenes import Scene


def fog(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Uneven fog, thicker towards the top."""
    h, w = scene.pixels.shape[:2]
    cloud = cv2.resize(rng.uniform(0.7, 1.15, (4, 5)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    height = np.linspace(1.1, 0.8, h, dtype=np.float32)[:, None]
    amount = np.clip(cloud * height * strength, 0, 0.985)[..., None]
    return _pixels(scene, scene.pixels * (1 - amount) + np.float32([205, 209, 213]) * amount)


def dusk(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Little light: darker, bluer, flatter, with sensor noise."""
    dark = scene.pixels * (1 - 0.93 * strength) + np.float32([8, 12, 26]) * strength
    return _pixels(scene, dark + rng.normal(0, 5 * strength, scene.pixels.shape))


def blur(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Out of focus."""
    sigma = 0.035 * strength * min(scene.pixels.shape[:2])
    return _pixels(scene, cv2.GaussianBlur(scene.pixels, (0, 0), max(sigma, 1e-3)))


def noise(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Sensor noise."""
    return _pixels(scene, scene.pixels + rng.normal(0, 130 * strength, scene.pixels.shape))


def negative(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Unusual colours: mixed with its own negative."""
    return _pixels(scene, scene.pixels * (1 - strength) + (255.0 - scene.pixels) * strength)


def occlude(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """A plain board in front of the part that tells what it is."""
    target = next(iter(scene.parts.values())) if scene.parts else scene.objects[0].mask
    ys, xs = np.nonzero(target)
    if not len(xs):
        return scene
    h, w = target.shape
    x0, x1, y0, y1 = xs.min(), xs.max(), ys.min(), ys.max()
    grow = 0.1 * min(h, w) * strength
    tall = (y1 - y0) * strength
    top = y0 if rng.random() < 0.5 else y1 - tall
    board = np.zeros((h, w), bool)
    box = np.round([top - grow * 0.3, top + tall + grow * 0.3, x0 - grow, x1 + grow]).astype(int)
    board[max(box[0], 0) : max(box[1], 0), max(box[2], 0) : max(box[3], 0)] = True
    colour = np.float32(np.median(scene.pixels.reshape(-1, 3), axis=0)) * 0.6 + rng.uniform(20, 90, 3).astype(
        np.float32
    )
    pixels = np.where(board[..., None], colour, scene.pixels)
    return replace(
        scene,
        pixels=_bytes(pixels),
        objects=tuple(replace(o, mask=o.mask & ~board) for o in scene.objects),
        parts={name: mask & ~board for name, mask in scene.parts.items()},
    )


def clutter(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Branches and leaves in front of everything."""
    h, w = scene.pixels.shape[:2]
    least, layer = min(h, w), np.zeros((h, w), np.uint8)
    for _ in range(round(26 * strength)):
        start = rng.uniform((0, 0), (w, h))
        end = start + rng.uniform(-0.45, 0.45, 2) * least
        cv2.line(layer, *np.round([start, end]).astype(int).tolist(), 255, max(1, round(0.008 * least)), cv2.LINE_AA)
        for t in rng.uniform(0, 1, 6):
            centre = np.round(start + (end - start) * t + rng.normal(0, 0.02 * least, 2)).astype(int)
            axes = np.maximum(np.round(rng.uniform(0.012, 0.035, 2) * least), 1).astype(int)
            cv2.ellipse(layer, centre.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    amount = (layer / np.float32(255))[..., None]
    leaf = np.float32([72, 92, 58]) + rng.normal(0, 14, (h, w, 1)).astype(np.float32)
    hidden = layer > 127
    return replace(
        _pixels(scene, scene.pixels * (1 - amount) + leaf * amount),
        objects=tuple(replace(o, mask=o.mask & ~hidden) for o in scene.objects),
        parts={name: mask & ~hidden for name, mask in scene.parts.items()},
    )


def far(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Seen from far away: everything small, somewhere in a wide empty frame."""
    h, w = scene.pixels.shape[:2]
    scale = 1 - 0.85 * strength
    ground = np.float32(np.median(scene.pixels[: max(2, h // 20)].reshape(-1, 3), axis=0))
    shift = rng.uniform(0.2, 0.8, 2) * (w * (1 - scale), h * (1 - scale))
    matrix = np.float32([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return _warp(scene, matrix, ground)


def crop(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """Too close: the frame cuts through the object."""
    h, w = scene.pixels.shape[:2]
    scale = 1 / (1 - 0.75 * strength)
    ys, xs = np.nonzero(scene.objects[0].mask)
    centre = (
        np.float32([xs.mean(), rng.uniform(np.quantile(ys, 0.2), np.quantile(ys, 0.9))])
        if len(xs)
        else np.float32([w / 2, h / 2])
    )
    shift = np.clip((w / 2, h / 2) - centre * scale, (w - w * scale, h - h * scale), 0)
    return _warp(scene, np.float32([[scale, 0, shift[0]], [0, scale, shift[1]]]), (0, 0, 0))


def tilt(scene: Scene, strength: float, rng: np.random.Generator) -> Scene:
    """The camera held askew."""
    h, w = scene.pixels.shape[:2]
    turn = 60 * strength * (1 if rng.random() < 0.5 else -1)
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), turn, 1 - 0.3 * strength)
    ground = np.median(scene.pixels[: max(2, h // 20)].reshape(-1, 3), axis=0)
    return _warp(scene, matrix, ground)


def _bytes(pixels) -> np.ndarray:
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _pixels(scene: Scene, pixels) -> Scene:
    return replace(scene, pixels=_bytes(pixels))


def _warp(scene: Scene, matrix: np.ndarray, ground) -> Scene:
    size = scene.pixels.shape[1::-1]
    shrinks = np.linalg.det(matrix[:, :2]) < 0.9
    blurred = (
        cv2.GaussianBlur(scene.pixels, (0, 0), 0.45 / np.sqrt(np.linalg.det(matrix[:, :2])))
        if shrinks
        else scene.pixels
    )
    pixels = cv2.warpAffine(blurred, matrix, size, flags=cv2.INTER_LINEAR, borderValue=tuple(float(c) for c in ground))

    def move(mask):
        return cv2.warpAffine(mask.astype(np.uint8) * 255, matrix, size, flags=cv2.INTER_LINEAR) > 127

    return replace(
        scene,
        pixels=pixels,
        objects=tuple(replace(o, mask=move(o.mask)) for o in scene.objects),
        parts={name: move(mask) for name, mask in scene.parts.items()},
    )


PERTURBATIONS = {f.__name__: f for f in (fog, dusk, blur, noise, negative, occlude, clutter, far, crop, tilt)}
