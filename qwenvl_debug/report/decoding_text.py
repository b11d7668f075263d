"""How was an answer generated, and what of the checkpoint's own generation settings was left out? In words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SAMPLING = (
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "top_h",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
)

_LONGEST = 60
"""Characters of a setting's value; lists of forbidden words can have thousands."""


def settings_text(settings: Mapping[str, Any]) -> str:
    """Generation settings in one line, such as "repetition_penalty 1.05, sampling (temperature 0.7, top_p 0.8)"."""
    parts = [f"{name} {_value(value)}" for name, value in settings.items() if name not in _SAMPLING]
    if settings.get("do_sample"):
        drawn = [f"{name} {_value(settings[name])}" for name in _SAMPLING[1:] if name in settings]
        parts.append(f"sampling ({', '.join(drawn)})" if drawn else "sampling")
    return ", ".join(parts)


def decoding_text(said: Mapping[str, Any]) -> str | None:
    """A sentence on how an answer was generated; None where greedy decoding leaves nothing of the checkpoint's out.

    Args:
        said: a run's `provenance.settings`.
    """
    dropped = settings_text(said.get("dropped") or {})
    if said.get("decoding") == "checkpoint":
        seed = f", seed {said['seed']}" if "seed" in said else ""
        rest = f" Not applied: {dropped}." if dropped else ""
        return (
            f"Decoding as the checkpoint says: {settings_text(said.get('applied') or {})}{seed}.{rest} Token "
            "probabilities are the model's own, before these settings."
        )
    return f"Greedy decoding. The checkpoint's own settings are not applied: {dropped}." if dropped else None


def decoding_label(said: Mapping[str, Any]) -> str | None:
    """The same in a few words, for a badge."""
    if said.get("decoding") == "checkpoint":
        return "Checkpoint's generation settings" + (f", seed {said['seed']}" if "seed" in said else "")
    return "Greedy, without the checkpoint's generation settings" if said.get("dropped") else None


def _value(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
