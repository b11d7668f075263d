"""How traces become one file and come back: safetensors, which keeps every precision and cannot hold code."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.trace import Trace, VisionTrace

VERSION = 1


def pack(trace: Trace, vision: Sequence[VisionTrace] = ()) -> bytes:
    """A run's traces as the bytes of one safetensors file; the same traces always give the same bytes.

    Args:
        trace: of the language layers.
        vision: of the vision tower, one per picture.

    Returns:
        Tensors are named "language.queries.3" or, of the first picture, "vision.0.keys.5". Everything else is JSON
        under one metadata key, for safetensors writes several in no fixed order.
    """
    tensors, facts = {}, {"version": VERSION, "language": None, "vision": []}
    named, facts["language"] = trace.to_tensors()
    tensors |= {f"language.{name}": tensor for name, tensor in named.items()}
    for picture, one in enumerate(vision):
        named, about = one.to_tensors()
        facts["vision"].append(about)
        tensors |= {f"vision.{picture}.{name}": tensor for name, tensor in named.items()}
    # Copied, because safetensors refuses tensors that share memory, as views into one cache do.
    whole = {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    return save(whole, {"traces": json.dumps(facts, sort_keys=True)})


def unpack(data: bytes) -> tuple[Trace, tuple[VisionTrace, ...]]:
    """The traces in the bytes that `pack` made. Their weights equal the original ones bit for bit.

    Raises:
        CaptureError: these bytes are something else, damaged, or of a newer version of this program.
    """
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = json.loads(header["__metadata__"]["traces"])
        if facts["version"] != VERSION:
            raise CaptureError("These traces were written by a newer version of this program: update it to read them.")
        # Copied, so that each tensor lies in memory as torch aligns it: sums may round differently elsewhere.
        tensors = {name: tensor.clone() for name, tensor in load(data).items()}
        language = Trace.from_tensors(_part(tensors, "language."), facts["language"])
        vision = tuple(
            VisionTrace.from_tensors(_part(tensors, f"vision.{picture}."), about)
            for picture, about in enumerate(facts["vision"])
        )
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CaptureError("This is not a file of traces, or it is damaged: ask the case again.") from error
    return language, vision


def _part(tensors: dict[str, torch.Tensor], start: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
