"""What the maps of the bundled model are worth, against drawn ground truth: `python -m qwenvl_debug.micro.proof`.

Held-out scenes that the model answers right are asked, each once, and once more with the neutral question; the parts of
the proof then judge them: where the maps lie and that they move with the picture (`proof_geometry`), that it is the
object asked about (`proof_objects`), and what each normalisation shows of it (`proof_normalisations`). Apart from these
stands how many heads harmless changes lift above the noise floor (`proof_noise`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from qwenvl_debug.micro import proof_geometry, proof_noise, proof_normalisations, proof_objects
from qwenvl_debug.micro.proof_look import CHOOSING, JUDGING, best_head, looks
from qwenvl_debug.micro.words import TASKS
from qwenvl_debug.model import DebugModel, load_model


def prove(model: DebugModel, choosing: int, judging: int, noise: int) -> dict:
    """All figures of all parts.

    Args:
        model: the bundled model.
        choosing: scenes per task on which layers and heads are chosen.
        judging: scenes per task on which they are judged.
        noise: scenes per task on which the noise floor is judged.
    """
    chosen_on = {task: looks(model, task, choosing, CHOOSING) for task in TASKS}
    seen = {task: looks(model, task, judging, JUDGING) for task in TASKS}
    best = {task: best_head(mine) for task, mine in chosen_on.items()}
    return {
        **proof_geometry.geometry(model, best, seen),
        "objects": proof_objects.objects(best, seen),
        "normalisations": proof_normalisations.normalisations(chosen_on, seen),
        "noise": proof_noise.noise(model, noise),
    }


def markdown(result: dict) -> str:
    """The figures as a page."""
    parts = (
        proof_geometry.markdown(result),
        proof_objects.markdown(result["objects"]),
        proof_normalisations.markdown(result["normalisations"]),
        proof_noise.markdown(result["noise"]),
        ["Rebuilt by `make proof`."],
    )
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="micro")
    parser.add_argument("--choosing", type=int, default=60, help="scenes per task to choose layers and heads on")
    parser.add_argument("--judging", type=int, default=75, help="scenes per task to judge them on")
    parser.add_argument("--noise", type=int, default=12, help="scenes per task to judge the noise floor on")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for proof.md and proof.json")
    options = parser.parse_args()
    result = prove(load_model(options.model), options.choosing, options.judging, options.noise)
    options.out.mkdir(exist_ok=True)
    (options.out / "proof.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (options.out / "proof.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))


if __name__ == "__main__":
    main()
