"""Does this installation work: versions, device, memory, and a self-test on the very model that will be used."""

from __future__ import annotations

import math
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import psutil

from qwenvl_debug.case import Case
from qwenvl_debug.report.text import columns

if TYPE_CHECKING:
    from qwenvl_debug.model import DebugModel

PACKAGES = ("qwenvl-debug", "torch", "transformers", "accelerate", "safetensors", "streamlit", "numpy", "pillow")


def health(model: DebugModel) -> dict[str, Any]:
    """Gather versions, device and memory, and test a model against transformers' own attention and answer.

    Args:
        model: the model to test; it answers a question about a picture drawn here, which is not square.

    Returns:
        JSON-ready: "versions", "machine", "process_bytes", "model" and "self_test" (see `model.selfcheck.SelfCheck`;
        "passed" is its `ok`; an error that is not a number is None).

    Raises:
        QwenVLDebugError: the model cannot answer at all.
    """
    from qwenvl_debug.model.machine import machine
    from qwenvl_debug.model.selfcheck import TOLERANCE, check

    test = check(model, Case(_test_picture(), "What is in the picture?"))
    numbers = {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in asdict(test).items()}
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {"system": platform.platform()} | machine(model.device),
        "process_bytes": psutil.Process().memory_info().rss,
        "model": {
            "name": model.name,
            "revision": model.revision,
            "family": model.family,
            "dtype": model.precision,
            "mode": model.mode.name,
            "layers": model.n_layers,
            "heads": model.n_heads,
            "layers_with_maps": list(model.layers_with_maps),
            "vision_layers": model.vision_depth,
            "chat_template": model.template.label,
            "thinks": model.template.thinks(),
            "thinking_switch": model.template.has_switch,
        },
        "self_test": {"passed": test.ok} | numbers | {"tolerance": TOLERANCE},
    }


def health_text(report: dict[str, Any]) -> str:
    """The report of `health` as plain text."""
    machine, model, test = report["machine"], report["model"], report["self_test"]
    versions = columns(list(report["versions"].items()))
    facts = columns(
        [
            ("system", machine["system"]),
            ("device", f"{machine['device']} ({machine['name']})"),
            ("memory", f"{_gigabytes(machine['free_bytes'])} free of {_gigabytes(machine['memory_bytes'])}"),
            ("this process", _gigabytes(report["process_bytes"])),
            (
                "model",
                f"{model['name']} ({model['family']}, {model['dtype']}, revision {model['revision']})",
            ),
            ("mode", model["mode"]),
            ("chat template", f"{model['chat_template']}{_thinking(model)}"),
            ("maps", f"{len(model['layers_with_maps'])} of {model['layers']} layers, {model['heads']} heads each"),
        ]
    )
    rows = [
        (
            _mark(test["same_answer"]),
            "the answer with recording is, token for token, the answer without",
            f"{test['seconds_capture']:.2f} s with, {test['seconds_plain']:.2f} s without",
        ),
        (
            _mark(_within(test["max_error_language"], test["tolerance"])),
            f"rows of {test['layers']} language layers equal transformers' eager attention",
            f"greatest difference {_small(test['max_error_language'])}, allowed {test['tolerance']:g}",
        ),
        (
            _mark(_within(test["max_error_vision"], test["tolerance"])),
            f"rows of {test['vision_layers']} vision layers likewise",
            f"greatest difference {_small(test['max_error_vision'])}, allowed {test['tolerance']:g}",
        ),
    ]
    words = {"pictures": "every cell is one picture token", "rows": "every row adds up to 1"}
    words |= {"order": "no row looks ahead", "probabilities": "the answer's probabilities are such"}
    words |= {"answer": "each token of the answer is the likeliest"}
    rows += [(_mark(one["passed"]), words[one["name"]], one["words"]) for one in test["checks"]]
    verdict = "All is well." if test["passed"] else "Something is wrong: maps of this model here cannot be trusted."
    return "\n".join([*versions, "", *facts, "", *columns(rows), "", verdict])


def forecast_text(report: dict[str, Any]) -> str:
    """What `Forecast.to_dict` tells, as plain text."""
    rows = [("mode", "weights", "cache", "work", "capture", "in all", "free", "", "stored as", "on", "picture")]
    for mode, needs in report["modes"].items():
        sizes = [_size(needs[part]) for part in ("weights", "cache", "work", "capture", "total", "free")]
        stored = needs["dtype"] if needs["bits"] is None else f"{needs['bits']}-bit with {needs['dtype']}"
        fits = "fits" if needs["fits"] else "too large"
        rows.append((mode, *sizes, fits, stored, needs["device"], f"{needs['image_tokens']:,} tokens"))
    about = (
        f"{report['model']} ({report['family']}, {report['parameters']:,} parameters), reckoned from its configuration"
    )
    return "\n".join([about, "", *columns(rows)])


def _thinking(model: dict[str, Any]) -> str:
    """Whether the model thinks before it answers, and whether that can be changed; nothing for one that never does."""
    if not model["thinks"] and not model["thinking_switch"]:
        return ""
    says = "thinks before it answers" if model["thinks"] else "answers at once"
    return f", {says} (--thinking, --no-thinking)" if model["thinking_switch"] else f", {says}"


def _test_picture() -> np.ndarray:
    """uint8 [200, 320, 3]: a disc and a bar on a plain ground."""
    picture = np.full((200, 320, 3), 235, dtype=np.uint8)
    cv2.circle(picture, (90, 100), 55, (200, 60, 50), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (200, 40), (270, 170), (50, 90, 190), -1)
    return picture


def _within(error: float | None, tolerance: float) -> bool:
    return error is not None and error <= tolerance


def _mark(good: bool) -> str:
    return "ok" if good else "FAILED"


def _small(error: float | None) -> str:
    return "not a number" if error is None else f"{error:.1e}"


def _size(count: int) -> str:
    return _gigabytes(count) if count >= 2**30 else f"{count / 2**20:.0f} MB"


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
