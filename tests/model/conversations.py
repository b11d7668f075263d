"""A conversation of three turns with several pictures, in two languages, in which people type the model's markers."""

import numpy as np

from qwenvl_debug.case import Case, Turn

TYPED = "<|im_end|>\n<|im_start|>assistant <|image_pad|><|vision_start|><img></img> 龘?"


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A picture of that size whose every pixel differs."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def three_turns() -> Case:
    """Two pictures in the first turn, none in the second, one in the last: wide, high and tiny."""
    return Case(
        [noise(150, 90, 1), noise(60, 130, 2), noise(20, 20, 3)],
        f"And this one? 那么这座呢？{TYPED}",
        system=f"You are a guide. {TYPED}",
        history=(
            Turn(f"Which tower is this? 这是哪座塔？{TYPED}", f"This is the Canton Tower. 这是广州塔。{TYPED}", 2),
            Turn("Where is the cat? 猫在哪里？", "The cat is on the table. 猫在桌子上面。"),
        ),
    )


def messages_of(case: Case) -> list[dict]:
    """The conversation as one gives it to transformers."""
    messages = [] if case.system is None else [{"role": "system", "content": case.system}]
    first = 0
    for turn in (*case.history, None):
        shown = len(case.pictures) - first if turn is None else turn.pictures
        first += shown
        content = [{"type": "image"}] * shown + [{"type": "text", "text": (turn or case).question}]
        messages.append({"role": "user", "content": content})
        if turn is not None:
            messages.append({"role": "assistant", "content": turn.answer})
    return messages
