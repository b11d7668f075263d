"""Sinks: told from objects by who looks at them, and found where they were planted into real traces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from qwenvl_debug.case import Case
from qwenvl_debug.maps import ask_neutral, find_sinks, jensen_shannon, map_stack
from qwenvl_debug.maps.sinks import AGREE, ROWS_OF_A_KIND, TIMES, _level
from qwenvl_debug.micro.gallery import pairs
from tests.maps.hand_made import make_run
from tests.maps.planted import plant

EVEN = np.full(6, 0.1)
FIRST = np.array([0.56, 0.01, 0.01, 0.01, 0.01, 0.0])  # the first cell holds 5.6 times its even share
LAST = FIRST[::-1]


def test_a_cell_that_all_heads_and_all_words_look_at_is_a_sink_of_its_layer_alone():
    sinks = find_sinks(make_run([FIRST, FIRST], layer_2=[EVEN, EVEN], question=([FIRST, FIRST], [FIRST, FIRST])))
    # The question's rows are the same at both layers there, but the end of the prompt looks evenly at layer 2.
    assert sinks.any
    assert np.argwhere(sinks.cells).tolist() == [[0, 0, 0]]
    assert sinks.level[0, 0, 0] == 1
    assert sinks.level[2, 0, 0] == 0
    assert np.isnan(sinks.level[1]).all()


def test_a_cell_that_only_one_kind_of_row_looks_at_is_no_sink():
    assert not find_sinks(make_run([FIRST, FIRST], question=([EVEN, EVEN], [EVEN, EVEN]))).any


def test_a_cell_that_half_of_the_heads_look_at_is_no_sink():
    sinks = find_sinks(make_run([FIRST, EVEN]))
    assert not sinks.any
    assert sinks.level[0, 0, 0] == 0.5 < AGREE


def test_what_the_whole_question_is_about_is_no_sink_once_the_neutral_question_looks_elsewhere():
    run, neutral = make_run([FIRST, FIRST]), make_run([LAST, LAST])
    assert find_sinks(run).cells[0, 0, 0]
    assert not find_sinks(run, neutral=neutral).any
    assert find_sinks(run, neutral=run).cells[0, 0, 0]


def test_rows_that_see_nothing_of_the_picture_do_not_count():
    nothing = np.zeros(6)
    seen = find_sinks(make_run([FIRST, FIRST], question=([nothing, nothing], [FIRST, FIRST])))
    assert seen.cells[0, 0, 0]


def test_a_strong_sink_does_not_hide_a_weaker_one():
    row = np.full(40, 0.32 / 38)
    row[0], row[1] = 0.6, 0.08  # 24 times its even share; 3.2 times, but 7.8 times of what is left without the first
    level = _level([np.tile(row, (2, 3, 1))])
    assert np.flatnonzero(level >= AGREE).tolist() == [0, 1]


def test_the_rule_states_its_thresholds_and_that_the_search_is_repeated():
    rule = find_sinks(make_run([EVEN, EVEN])).rule
    assert f"{TIMES:g} times" in rule
    assert f"{AGREE:.0%}" in rule
    assert f"at most {ROWS_OF_A_KIND} rows" in rule
    assert "repeated among the cells that are left" in rule


def rows_by_the_rule(run, picture, layer):
    """The rows of each kind as `RULE` names them: lists of rows over the picture's cells."""
    others = [index - 1 for index in run.answer_tokens if index - 1 != run.last_prompt]  # the row that chose each
    kinds = []
    for rows in (list(run.question_tokens), [run.last_prompt], others):
        if len(rows) > ROWS_OF_A_KIND:
            rows = [rows[round(n * (len(rows) - 1) / (ROWS_OF_A_KIND - 1))] for n in range(ROWS_OF_A_KIND)]
        if rows:
            weights = run.trace.weights(layer, rows=rows).astype(np.float64)
            kinds.append([row[run.grids[picture].positions] for head in weights for row in head])
    return kinds


def sinks_by_the_rule(kinds):
    """The sinks as `RULE` tells them, word by word, with loops; a set of cells."""
    left, sinks = set(range(len(kinds[0][0]))), set()
    while left:
        found = set()
        totals = [[sum(row[cell] for cell in left) for row in rows] for rows in kinds]
        for cell in left:
            shares = []
            for rows, held in zip(kinds, totals, strict=True):
                holds = [row[cell] * len(left) > TIMES * all_ for row, all_ in zip(rows, held, strict=True) if all_ > 0]
                shares.append(sum(holds) / len(holds) if holds else 0)
            if min(shares) >= AGREE:
                found.add(cell)
        if not found:
            break
        sinks |= found
        left -= found
    return sinks


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_the_rounds_are_those_of_the_rule_for_any_weights(seed):
    """Whole numbers, so that a cell which holds exactly five times its even share is one, and rows of nothing too."""
    rng = np.random.default_rng(seed)
    cells = int(rng.integers(2, 40))
    kinds = []
    for _ in range(rng.integers(1, 4)):
        weights = rng.integers(0, 3, (int(rng.integers(1, 4)), int(rng.integers(1, 5)), cells))
        strong = rng.choice(cells, min(cells, 3), replace=False)
        weights[..., strong] += rng.integers(0, 400, (*weights.shape[:2], 1)) // rng.choice([1, 10, 400])
        weights[rng.random(weights.shape[:2]) < 0.1] = 0
        kinds.append(weights.astype(np.float32))
    wanted = sinks_by_the_rule([weights.reshape(-1, cells).tolist() for weights in kinds])
    assert set(np.flatnonzero(_level(kinds) >= AGREE).tolist()) == wanted


@pytest.mark.parametrize("layer", [1, 3])
def test_the_sinks_are_those_of_the_rule_as_it_is_stated(asked, layer):
    """Weaker sinks under stronger ones, planted where the question, its answer and the generic prompt look alike."""
    run = asked[0][0]
    neutral = ask_neutral(run)
    rng = np.random.default_rng(layer)
    counts = []
    for share in (0.0, 0.02, 0.1, 0.5):
        cells = rng.choice(len(run.grids[0].positions), 6, replace=False).tolist()
        both = [plant(plant(one, cells[:2], 8 * share / 10), cells[2:], share) for one in (run, neutral)]
        for runs in (both[:1], both):
            found = find_sinks(runs[0], neutral=runs[1] if len(runs) > 1 else None).cells[layer]
            wanted = sinks_by_the_rule([rows for one in runs for rows in rows_by_the_rule(one, 0, layer)])
            assert set(np.flatnonzero(found).tolist()) == wanted
            counts.append(len(wanted))
    assert max(counts) >= 4


@pytest.fixture(scope="module")
def asked(micro):
    """Both sides of every second gallery pair, made to give the expected answer."""
    return [
        [micro.ask(Case(picture, pair.question), target=pair.expected) for picture in (pair.correct, pair.failing)]
        for pair in pairs()[::2]
    ]


def flat(stack):
    return stack.values.reshape(*stack.values.shape[:2], -1)


def border(grid):
    inner = np.zeros((grid.rows, grid.cols), bool)
    inner[1:-1, 1:-1] = True
    return np.flatnonzero(~inner)


def distances(runs, normalisation, without=()):
    """Map distance of every head between two runs, leaving out cells of the maps first."""
    left, right = (flat(map_stack(run, normalisation=normalisation)).copy() for run in runs)
    left[..., without], right[..., without] = 0, 0
    return jensen_shannon(left, right)


def test_planted_sinks_are_found_and_without_them_the_ranking_is_that_of_the_clean_trace(asked):
    """0.3 is added to three border cells, at random, of every row: together more than the whole picture had.

    What is left must be the clean maps without these cells, exactly; and as three border cells hold little of a clean
    map, the ranking must be that of the clean trace as it stands.
    """
    disturbed = []
    for number, runs in enumerate(asked):
        cells = np.random.default_rng(number).choice(border(runs[0].grids[0]), 3, replace=False)
        planted = [plant(run, cells, 0.3) for run in runs]
        for run, clean in zip(planted, runs, strict=True):
            found = find_sinks(run).cells.reshape(run.trace.n_layers, -1)
            wanted = find_sinks(clean).cells.reshape(found.shape)
            wanted[:, cells] = True
            assert np.array_equal(found, wanted)
        rank = distances(runs, "picture").ravel()
        disturbed.append(spearmanr(rank, distances(planted, "picture").ravel())[0])
        freed = distances(planted, "no_sinks").ravel()
        assert np.allclose(freed, distances(runs, "no_sinks", without=cells).ravel(), atol=1e-5)
        assert spearmanr(rank, freed)[0] > 0.98
        assert freed.argmax() == rank.argmax()
    assert np.median(disturbed) < 0.97  # or the sinks disturbed nothing, and removing them showed nothing


def test_the_neutral_question_finds_planted_sinks_too_and_no_others(asked):
    run = asked[0][0]
    neutral = ask_neutral(run)
    cells = [0, 17, 60]
    assert not find_sinks(run, neutral=neutral).any
    found = find_sinks(plant(run, cells), neutral=plant(neutral, cells)).cells
    assert all(set(np.flatnonzero(layer)) == set(cells) for layer in found)
    assert not find_sinks(plant(run, cells), neutral=neutral).any  # it is no sink if the neutral question has none


def test_without_sinks_leaving_them_out_changes_nothing(asked):
    run = next(run for runs in asked for run in runs if not find_sinks(run).any)
    assert np.array_equal(flat(map_stack(run, normalisation="no_sinks")), flat(map_stack(run)))
