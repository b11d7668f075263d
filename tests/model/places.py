"""Tiny models of every generation, the first one too, for tests of taps and of passes that are run again."""

from qwenvl_debug.case import Case
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.replay import Replay
from tests.model.qwen_vl_1.small import small_checkpoint
from tests.model.tiny import EVERY_FAMILY

FIRST = "qwen_vl_1"
GENERATIONS = (*EVERY_FAMILY, FIRST)
FED = [5, 6]
"""Tokens that are fed after the prompt."""


def models(tiny, tmp_path_factory):
    """From a generation's name to its tiny model, loaded once."""
    made = {}

    def model(name):
        if name != FIRST:
            return tiny(name)
        if name not in made:
            made[name] = load_model(small_checkpoint(tmp_path_factory.mktemp("first") / "first"))
        return made[name]

    return model


def passes(model, noise):
    """The passes of two questions that differ in their image only, cells far from square."""
    cases = [Case(noise(200, 120, seed), "Which tower is this?") for seed in (0, 1)]
    return [Replay(model, prompt(model, case), FED) for case in cases]
