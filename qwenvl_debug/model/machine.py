"""What is there to run a model on, and how much memory of it is free?"""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from qwenvl_debug.errors import ModelLoadError


@dataclass(frozen=True)
class Hardware:
    """What a model could run on.

    Attributes:
        kind: "cuda", "mps" or "cpu": the best there is.
        gpus: free bytes of each GPU; empty for "mps", which shares the main memory.
        main: free bytes of main memory.
        brain_floats: whether the device computes in bfloat16; GPUs before 2020 do not.
    """

    kind: str
    gpus: tuple[int, ...]
    main: int
    brain_floats: bool = True

    def free(self, device: str) -> int:
        """Free bytes for a device such as "cuda:1"; "auto" may use everything."""
        if device == "auto":
            return sum(self.gpus) + self.main
        kind, _, number = device.partition(":")
        if kind == "cuda" and self.gpus:
            return self.gpus[int(number or 0)] if int(number or 0) < len(self.gpus) else 0
        return self.main


def hardware() -> Hardware:
    """What this machine has, now."""
    if torch.cuda.is_available():
        free = tuple(torch.cuda.mem_get_info(n)[0] for n in range(torch.cuda.device_count()))
        return Hardware("cuda", free, free_main_memory(), torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.backends.mps.is_available():
        return Hardware("mps", (), free_main_memory())
    return Hardware("cpu", (), free_main_memory())


def known_device(device: str | torch.device) -> str:
    """The name of a device that is there; "auto" always is.

    Raises:
        ModelLoadError: there is none of this name.
    """
    with suppress(Exception):  # torch has many ways to say so
        if device != "auto":
            torch.empty(0, device=device)
        return str(device)
    raise ModelLoadError(f"There is no device “{device}” here: use device='cpu'.")


def free_main_memory() -> int:
    """Bytes of main memory that this process may still take; a container's limit counts."""
    free = psutil.virtual_memory().available
    for folder, limit, used, cached in (  # of control groups version 2 and 1, as a container sees its own
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError):  # no such file, or "max"
            left = int(Path(folder, limit).read_text()) - int(Path(folder, used).read_text())
            free = min(free, max(0, left + _cached(Path(folder, "memory.stat"), cached)))
    return free


def _cached(statistics: Path, name: str) -> int:
    """Bytes of files read before, such as a checkpoint just fetched: counted as used, but given up when needed."""
    with suppress(OSError, ValueError):
        lines = (line.split() for line in statistics.read_text().splitlines())
        return next((int(line[1]) for line in lines if line[0] == name), 0)
    return 0


def machine(device: torch.device) -> dict[str, str | int]:
    """Name and memory of a device.

    Returns:
        "device" as torch writes it, "name", "memory_bytes" in all and "free_bytes" now. A CPU has the machine's
        main memory; so has Apple's GPU, which shares it.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
    else:
        free, total = free_main_memory(), psutil.virtual_memory().total
        name = f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} threads"
    return {"device": str(device), "name": name, "memory_bytes": total, "free_bytes": free}
