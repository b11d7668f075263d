"""Programs to be killed: they save without end, and say after each step what is safe by now.

Importing torch takes seconds, so one process imports it and then, for each line it reads, starts copies of itself that
save; starting copies is safe as long as that first process never computes anything. A line is JSON: {"data": folder,
"database": URL or null, "seeds": one number per copy}. The first line a copy prints is "pid" and its process number,
every other one something that was saved, as "case 7"; when all copies are gone, "gone" and how many is printed.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.maps import Query
from qwenvl_debug.model import trace_file  # noqa: F401  so that no copy has to import it
from qwenvl_debug.regions import Ellipse, Mask, Region
from qwenvl_debug.settings import Settings
from qwenvl_debug.store import add_region, change_region, open_store, save_case, save_run, save_scores
from tests.store.hand_made import hand_made_run


def save_without_end(settings, seed):
    """Cases, runs, regions and scores, all different, some of them replacing others."""
    store, rng = open_store(settings), np.random.default_rng(seed)
    while True:
        picture = Picture.open(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
        say("case", save_case(store, Case(picture, f"Which {seed}?")))
        run = hand_made_run(picture, rng)
        number = save_run(store, run)
        say("run", number)
        mask = Mask(rng.random((40, 60)) < 0.5)
        seen = add_region(store, picture, Region("spheres", mask))
        say("region", seen.id)
        change_region(store, seen, Region("balls", (Ellipse(5, 5, 2, 2), Mask(~mask.pixels))))
        save_scores(store, number, seen.region, Query((1,), "tower"), {"mass": rng.random((2, 3))})
        say("scores", number)


def say(word, number):
    """Tell the one who listens, at once and in one piece."""
    os.write(1, f"{word} {number}\n".encode())


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        children = []
        for seed in asked["seeds"]:
            children.append(os.fork())
            if children[-1] == 0:
                say("pid", os.getpid())
                save_without_end(Settings(Path(asked["data"]), database=asked["database"]), seed)
        for child in children:
            os.waitpid(child, 0)
        say("gone", len(children))
