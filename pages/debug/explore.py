"""Explore: both runs as a whole, every head as a point and every layer by what it reads."""

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.ui import explore_view, page_head, sentence

model, pair = page_head.pair_and_model(
    "Explore", "The whole of both runs: which heads changed, and what each layer reads."
)
try:
    choice = page_head.answered(model, pair)
    if choice is not None:
        explore_view.look(model, choice)
except QwenVLDebugError as error:
    sentence.show_error(str(error))
