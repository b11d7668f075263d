"""Which normalisation shows best where the model looked for its answer? Every one, on the same held-out scenes.

Twice: with who asks, the layer and the head chosen for each task on other scenes, which is the best that a person who
knows the task could choose; and as a page opens, with the whole answer asking and one layer (and head) for all tasks,
also chosen on other scenes. Both for the mean of a layer's heads and for a single head. A scene without a map counts as
a miss; its mass is not defined and left out.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.maps import NORMALISATIONS
from qwenvl_debug.micro.proof_look import ASKS, Look, Normalised

KINDS = {"mean": "mean of the heads", "head": "a single head"}


def normalisations(chosen_on: dict[str, list[Look]], seen: dict[str, list[Look]]) -> dict:
    """The figures of this proof.

    Args:
        chosen_on: the scenes on which everything is chosen, by task.
        seen: the scenes to judge on, by task.
    """
    result: dict = {"scenes": sum(map(len, seen.values())), "by task": {}, "as a page opens": {}}
    result["chance"] = float(np.mean([one.chance for mine in seen.values() for one in mine]))
    result["scenes with sinks"] = sum(_has_sinks(one.normalised) for mine in seen.values() for one in mine)
    for number, name in enumerate(NORMALISATIONS):
        for kind in KINDS:
            by_task = [_judge(chosen_on[task], mine, number, kind, range(len(ASKS))) for task, mine in seen.items()]
            places = {task: _place(one["at"]) for task, one in zip(seen, by_task, strict=True)}
            result["by task"].setdefault(name, {})[kind] = _figures(by_task) | {"chosen": places}
            together = [[one for mine in scenes.values() for one in mine] for scenes in (chosen_on, seen)]
            opened = _judge(*together, number, kind, range(1))
            result["as a page opens"].setdefault(name, {})[kind] = _figures([opened]) | {"chosen": _place(opened["at"])}
    return result


def _judge(chosen_on: list[Look], seen: list[Look], number: int, kind: str, asks: range) -> dict:
    """Choose who asks, layer and head on some scenes; hits, masses and chances of that choice on others."""
    which = slice(-1, None) if kind == "mean" else slice(0, -1)

    def of(scenes: list[Look], what: str) -> np.ndarray:
        return np.stack([getattr(one.normalised, what)[number][asks, :, which] for one in scenes])

    hits = of(chosen_on, "hits").mean(axis=0)
    at = tuple(int(i) for i in np.unravel_index(hits.argmax(), hits.shape))
    everywhere = (slice(None), *at)
    return {
        "at": (*at[:2], at[2] if kind == "head" else -1),
        "hits": of(seen, "hits")[everywhere],
        "mass": of(seen, "mass")[everywhere],
        "cover": np.array([one.cover.mean() for one in seen]),
    }


def _has_sinks(one: Normalised) -> bool:
    picture, without = (one.mass[list(NORMALISATIONS).index(name)] for name in ("picture", "no_sinks"))
    return not np.allclose(picture, without, atol=1e-5, equal_nan=True)


def _place(at: tuple[int, int, int]) -> dict:
    return {"asks": ASKS[at[0]], "layer": at[1], "head": at[2]}


def _figures(judged: list[dict]) -> dict:
    hits, mass, cover = (np.concatenate([one[key] for one in judged]) for key in ("hits", "mass", "cover"))
    return {
        "highest cell on the object": float(hits.mean()),
        "median mass": float(np.nanmedian(mass)),
        "median of mass / chance": float(np.nanmedian(mass / cover)),
        "scenes without a map": int(np.isnan(mass).sum()),
    }


def best(result: dict, figure: str = "highest cell on the object") -> str:
    """The normalisation whose head mean, as a page opens, has most of a figure; the first of several that tie."""
    opens = result["as a page opens"]
    return max(opens, key=lambda name: opens[name]["mean"][figure])


def markdown(result: dict) -> list[str]:
    """The figures as lines of a page."""
    lines = [
        "## Every normalisation",
        "",
        f"The same {result['scenes']} scenes, and the choices made on the same others. By chance the highest cell "
        f"would lie on the object in {result['chance']:.1%} of them, and mass / chance would be 1.",
        "",
        "**As a page opens** (the whole answer asks; one layer, and head, for all tasks) the head mean of "
        f"“{NORMALISATIONS[best(result)].name}” has its highest cell on the object most often, and that of "
        f"“{NORMALISATIONS[best(result, 'median mass')].name}” most of its mass. A page opens with the first.",
        "",
        *_table(result["as a page opens"]),
        "",
        "**With who asks, the layer and the head chosen for each task:**",
        "",
        *_table(result["by task"]),
    ]
    found = f"{result['scenes with sinks']} of the {result['scenes']} scenes"
    lines += ["", f"A sink was found, and left out of the last row's maps, in {found}."]
    if any(row[kind]["scenes without a map"] for kind in KINDS for row in result["as a page opens"].values()):
        lines += ["", "Scenes without a map count as misses."]
    return lines


def _table(rows: dict) -> list[str]:
    head = ["normalisation"]
    for words in KINDS.values():
        head += [f"{words}: highest cell on the object", "median mass", "median of mass / chance", "layer, head"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, row in rows.items():
        cells = [NORMALISATIONS[name].name]
        for kind in KINDS:
            one = row[kind]
            cells += [
                f"{one['highest cell on the object']:.1%}",
                f"{one['median mass']:.1%}",
                f"{one['median of mass / chance']:.1f}",
                _where(one["chosen"]),
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _where(chosen: dict) -> str:
    if "layer" not in chosen:
        return "; ".join(f"{task} {_where(one)}" for task, one in chosen.items())
    return f"{chosen['layer']}" if chosen["head"] < 0 else f"{chosen['layer']}, {chosen['head']}"
