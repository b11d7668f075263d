"""Sweep: make a picture harder step by step, and see where the answer flips."""

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.ui import page_head, sentence, sweep_view

model, pair = page_head.pair_and_model("Sweep", "Make the picture harder step by step: where does the answer flip?")
try:
    choice = page_head.chosen(model, pair)
    if choice is not None:
        sweep_view.look(model, choice)
except QwenVLDebugError as error:
    sentence.show_error(str(error))
