"""Regions: mark where the model should have looked, and see how much of its attention fell there."""

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.ui import page_head, regions_view, sentence

model, pair = page_head.pair_and_model("Regions", "Where should the model have looked, and did it?")
try:
    choice = page_head.answered(model, pair)
    if choice is not None:
        regions_view.look(model, choice)
except QwenVLDebugError as error:
    sentence.show_error(str(error))
