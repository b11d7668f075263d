"""How are the shipped descriptions made? `python -m qwenvl_debug.model.architecture.make` makes them all anew."""

import json

from qwenvl_debug.model.architecture.discover import describe
from qwenvl_debug.model.architecture.shipped import FOLDER, MICRO, published


def main() -> None:
    """Write published/described.json, one line per model."""
    found = {MICRO: describe(MICRO).to_dict()} | {one.short: describe(one.name).to_dict() for one in published()}
    lines = (f"{json.dumps(name)}: {json.dumps(record, ensure_ascii=False)}" for name, record in found.items())
    (FOLDER / "described.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
