"""Scenes are what their ground truth says."""

from __future__ import annotations

import numpy as np
import pytest

from qwenvl_debug.micro.perturb import PERTURBATIONS
from qwenvl_debug.micro.scenes import KINDS, questions, scene
from qwenvl_debug.micro.shapes import RANGES
from qwenvl_debug.micro.words import COLOURS, PLACES, TOWERS


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_scene_in_any_process(kind):
    one, two, other = scene(4, kind, (300, 200)), scene(4, kind, (300, 200)), scene(5, kind, (300, 200))
    assert np.array_equal(one.pixels, two.pixels)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(one.objects, two.objects, strict=True))
    assert not np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (500, 120), (130, 400)])
def test_pictures_and_masks_have_the_size_that_was_asked_for(kind, size):
    drawn = scene(1, kind, size)
    assert drawn.pixels.shape == (size[1], size[0], 3)
    assert drawn.pixels.dtype == np.uint8
    assert all(o.mask.shape == (size[1], size[0]) for o in drawn.objects)


def test_masks_of_one_scene_never_overlap_and_never_are_empty():
    for seed in range(60):
        drawn = scene(seed, KINDS[seed % 3], (240, 180))
        assert (sum(o.mask.astype(int) for o in drawn.objects) <= 1).all()
        assert all(o.mask.sum() > 30 for o in drawn.objects), (seed, [o.name for o in drawn.objects])


def test_a_shape_has_the_hue_of_its_name_where_its_mask_lies():
    """Read back from the pixels alone: median saturation and value of the mask, and hue against the colour's range."""
    import cv2

    checked = 0
    for seed in range(80):
        drawn = scene(seed, "shapes", (320, 320), grain=False)
        hsv = cv2.cvtColor(drawn.pixels, cv2.COLOR_RGB2HSV_FULL)
        for o in drawn.objects:
            inside = cv2.erode(o.mask.astype(np.uint8), np.ones((7, 7))) > 0  # within its outline
            if inside.sum() < 60:
                continue
            hue, saturation, value = np.median(hsv[inside], axis=0) * (360 / 255, 1, 1)
            if o.colour == "black":
                assert value < 80
            elif o.colour == "white":
                assert value > 170
                assert saturation < 60
            else:
                low, high = RANGES[o.colour][0]
                away = abs((hue - (low + high) / 2 + 180) % 360 - 180)
                assert away <= (high - low) / 2 + 6, (seed, o.colour, hue)
            checked += 1
    assert checked > 150


def test_the_cat_is_where_its_answer_says():
    """On: above the table's top edge. Under: within its width and below its top. Left, right: beside it."""
    for seed in range(120):
        drawn = scene(seed, "cat", (320, 240))
        ys, xs = np.nonzero(drawn.object("cat").mask)
        ty, tx = np.nonzero(drawn.object("table").mask)
        place, middle = drawn.facts["place"], np.median(xs)
        if place == "on":
            assert np.median(ys) < np.quantile(ty, 0.05) + 0.1 * np.ptp(ty)
        elif place == "under":
            assert tx.min() < middle < tx.max()
            assert np.median(ys) > np.quantile(ty, 0.02)
        elif place == "left":
            assert middle < tx.min() + 0.1 * np.ptp(tx)
        else:
            assert middle > tx.max() - 0.1 * np.ptp(tx)


def test_the_telling_part_lies_within_its_tower():
    for seed in range(40):
        drawn = scene(seed, "tower", (240, 240))
        (part,) = drawn.parts.values()
        assert part.sum() > 20
        assert not (part & ~drawn.object("tower").mask).any()


def test_every_fact_is_asked_in_both_languages_with_the_right_answer():
    rng = np.random.default_rng(0)
    tower = scene(0, "tower", tower="pearl")
    assert {q.answer for q in questions(tower, rng)} == set(TOWERS["pearl"])
    cat = scene(0, "cat", place="under")
    assert {q.answer for q in questions(cat, rng)} == set(PLACES["under"])
    drawn = scene(0, "shapes", count=3)
    asked = questions(drawn, rng, plainest=True)
    assert len(asked) == 3 * 2 * 2
    for q in asked:
        if q.task == "colour":
            assert q.answer in COLOURS[drawn.object(q.about).colour]


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_of_strength_zero_changes_almost_nothing(name):
    drawn = scene(2, "tower", (200, 160))
    same = PERTURBATIONS[name](drawn, 0.0, np.random.default_rng(0))
    assert np.abs(same.pixels.astype(int) - drawn.pixels).mean() < 2.0


@pytest.mark.parametrize("name", ["far", "crop", "tilt"])
def test_masks_move_with_the_picture(name):
    """A flat red object on white: after the warp, red pixels and mask are the same place."""
    from dataclasses import replace

    drawn = scene(3, "tower", (240, 200))
    mask = drawn.object("tower").mask
    flat = np.where(mask[..., None], np.uint8([255, 0, 0]), np.uint8([255, 255, 255]))
    moved = PERTURBATIONS[name](replace(drawn, pixels=flat), 0.5, np.random.default_rng(1))
    red = (moved.pixels[..., 0] > 128) & (moved.pixels[..., 1] < 128)
    both, either = (red & moved.objects[0].mask).sum(), (red | moved.objects[0].mask).sum()
    assert both / either > 0.8
