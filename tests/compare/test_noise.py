"""The noise floor and what ranks above it: nothing of a run against itself, little of a harmless copy, much of the
gallery's real failures; and by hand on runs that are small enough."""

import json

import numpy as np
import pytest

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import HARMLESS, compare, harmless_runs, noise_floor, rank
from qwenvl_debug.compare.figures import DISTANCE, SHARE, Figures
from qwenvl_debug.compare.noise import MARGIN, brighter, floor_of, jpeg, shifted
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import question_query
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.regions import Rectangle, Region, mask_from_png

CHOSEN = ("pearl-fog", "cat-tilt", "cat-far")


@pytest.fixture(scope="module")
def measured(micro):
    """By pair: the comparison on the expected answer, with its regions and its noise floor."""
    found = {}
    for pair in pairs():
        if pair.id not in CHOSEN:
            continue
        pictures = Picture.open(pair.correct), Picture.open(pair.failing)
        runs = [micro.ask(Case(one, pair.question, expected=pair.expected), target=pair.expected) for one in pictures]
        left, right = (
            [Region(name, mask_from_png(file, one.size)) for name, file in pair.regions[side].items()]
            for side, one in zip(("correct", "failing"), pictures, strict=True)
        )
        made = compare(*runs, left_regions=left, right_regions=right)
        noise = noise_floor(made.asked[0], query=made.left.query, regions=made.left_regions)
        found[pair.id] = (made.with_noise(noise), left)
    return found


def again(micro, made, change):
    """The correct side's picture changed, its answer the same."""
    case = made.correct.case
    picture = Picture.open(np.ascontiguousarray(change(case.pictures[0].pixels)))
    return micro.ask(Case(picture, case.question, expected=case.expected), target=made.correct.answer)


def test_a_run_against_itself_differs_by_exactly_nothing_and_nothing_ranks(measured):
    for made, regions in measured.values():
        same = compare(made.correct, made.correct, regions=regions, noise=made.noise)
        assert all((values[~np.isnan(values)] == 0).all() for values in same.figures.values.values())
        assert (same.difference(0)[~np.isnan(same.difference(0))] == 0).all()
        assert not same.ranking.heads["above"].any()
        assert not same.ranking.layers["above"].any()
        assert same.ranking.top() is None
        assert same.ranking.share_above() == 0


@pytest.mark.parametrize(
    "change",
    [lambda p: shifted(p, 2, 0), lambda p: shifted(p, 0, -2), lambda p: shifted(p, 2, 2), lambda p: jpeg(p, 90)],
    ids=["right", "up", "right and down", "jpeg"],
)
def test_at_most_5_percent_of_heads_of_a_harmless_copy_rank_above_the_noise(micro, measured, change):
    for made, regions in measured.values():
        copy = again(micro, made, change)
        other = compare(made.correct, copy, regions=regions, noise=made.noise)
        assert other.alignment.kind == "same frame"
        assert other.ranking.share_above() <= 0.05
        assert not other.ranking.layers["above"].any()


def test_real_failures_rank_many_heads_above_the_noise(measured):
    for made, _ in measured.values():
        assert made.ranking.share_above() > 0.2
        layer, head = made.ranking.top()
        assert (layer, head) == made.opens_on()
        assert head >= 0


def test_the_ranking_is_in_order_and_every_line_can_be_checked(measured):
    made, _ = measured["pearl-fog"]
    heads = made.ranking.heads
    assert heads["score"].dropna().is_monotonic_decreasing
    names = [column for column in heads if f"{column}_floor" in heads]
    assert names == [DISTANCE, SHARE, "mass_tower", "mass_spheres"] or set(names) > {DISTANCE, SHARE}
    ratios = np.stack([heads[name] / heads[f"{name}_floor"] for name in names])
    assert np.allclose(np.nanmax(ratios, axis=0), heads["score"])
    assert (heads["above"] == (heads["score"] > 1)).all()
    assert made.ranking.layers["layer"].nunique() == len(made.ranking.layers)


def test_noise_of_other_words_is_refused(measured):
    made, _ = measured["pearl-fog"]
    queries = {f"{side}_query": question_query(getattr(made, side)) for side in ("correct", "failing")}
    other = compare(made.correct, made.failing, **queries)
    with pytest.raises(QueryError, match="other words"):
        rank(other, made.noise)


def test_a_noise_floor_of_another_run_or_another_region_is_refused(measured):
    made, other = measured["pearl-fog"][0], measured["cat-tilt"][0]
    with pytest.raises(QueryError, match="measured on another run"):
        compare(made.failing, made.correct, noise=made.noise)
    with pytest.raises(QueryError, match="measured on another run"):
        compare(made.correct, made.failing, noise=other.noise)
    moved = Region("tower", Rectangle(3, 3, 50, 50))
    with pytest.raises(QueryError, match="another region “tower”"):
        compare(made.correct, made.failing, regions=moved, noise=made.noise)


def test_copies_of_another_run_are_refused_and_those_of_this_run_are_taken(micro, measured):
    made, other = measured["pearl-fog"][0], measured["cat-far"][0]
    copies = harmless_runs(made.correct)
    floor = noise_floor(made.correct, regions=made.left_regions, copies=copies).floor
    assert all(np.array_equal(floor[name], made.noise.floor[name], equal_nan=True) for name in floor)
    with pytest.raises(QueryError, match="belongs to another run"):
        noise_floor(other.correct, copies=copies)
    with pytest.raises(QueryError, match="another image"):  # each under the name of another change
        noise_floor(made.correct, copies=tuple(zip(HARMLESS, (run for _, run in copies[::-1]), strict=True)))
    own = micro.ask(made.correct.case, target="Canton Tower")
    with pytest.raises(QueryError, match="another answer"):
        noise_floor(own, copies=copies)


def test_the_dictionary_has_alignment_normalisation_noise_and_ranking(measured):
    printed = json.loads(json.dumps(measured["pearl-fog"][0].to_dict(), allow_nan=False))
    assert printed["alignment"]["kind"] == "same frame"
    assert printed["normalisation"] == "picture"
    assert printed["noise_floor"]["changes"] == list(HARMLESS)
    assert printed["ranking"]["top"] == dict(
        zip(("layer", "head"), measured["pearl-fog"][0].ranking.top(), strict=True)
    )
    assert len(printed["ranking"]["heads"]) == len(printed["heads"])


def test_the_floor_is_the_most_any_head_of_the_layer_or_any_layer_was_moved_times_the_margin():
    nothing = [np.nan] * 3
    moved = [
        Figures({SHARE: np.array([[0.01, 0.03, 0.02], nothing, [0.2, 0.1, 0.04]], np.float32)}),
        Figures({SHARE: np.array([[0.02, 0.00, 0.05], nothing, [0.1, 0.1, 0.01]], np.float32)}),
    ]
    floor = floor_of(moved)[SHARE]
    assert floor[0] == pytest.approx(np.array([0.03, 0.03, 0.05]) * MARGIN)
    assert floor[2] == pytest.approx(np.array([0.2, 0.2, 0.05]) * MARGIN)
    assert np.isnan(floor[1]).all()
    distance = floor_of([Figures({DISTANCE: np.array([[0.01, 0.03, 0.02]], np.float32)})])[DISTANCE]
    assert distance[0] == pytest.approx(np.array([0.03, 0.03, 0.02]) * MARGIN**2)


def test_a_picture_with_nothing_in_it_has_a_noise_floor_too(micro):
    """Its shifted copy cannot be laid on it by what is seen; it still lies edge on edge."""
    run = micro.ask(Case(np.full((240, 320, 3), 128, np.uint8), "Which tower is this?"), max_new_tokens=4)
    floor = noise_floor(run).floor
    assert not np.isnan(floor[DISTANCE]).any()
    assert (floor[DISTANCE] > 0).all()


def test_harmless_changes_are_harmless():
    pixels = np.random.default_rng(0).integers(0, 250, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(shifted(pixels, 1, 0)[:, 1:], pixels[:, :-1])
    assert np.array_equal(shifted(pixels, -1, -1)[:-1, :-1], pixels[1:, 1:])
    assert np.array_equal(shifted(pixels, 0, 2)[2:], pixels[:-2])
    assert np.abs(brighter(pixels).astype(int) - pixels).max() <= 5
    assert all(change(pixels).shape == pixels.shape for change in HARMLESS.values())


def test_measuring_tells_how_far_it_is_and_can_be_stopped(micro, measured):
    from threading import Event

    from qwenvl_debug.errors import Cancelled

    run, told, stop = measured["pearl-fog"][0].correct, [], Event()

    def progress(done, of, text):
        told.append((done, of))
        if done == 1:
            stop.set()

    with pytest.raises(Cancelled):
        harmless_runs(run, progress=progress, cancel=stop)
    assert told == [(0, len(HARMLESS)), (1, len(HARMLESS))]
