"""What a model runs on: the device's name and its memory."""

from __future__ import annotations

import platform

import psutil
import torch


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
        memory = psutil.virtual_memory()
        free, total = memory.available, memory.total
        name = f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} threads"
    return {"device": str(device), "name": name, "memory_bytes": total, "free_bytes": free}
