"""The machine that computes: device, threads, memory, and how long things take in words."""

from __future__ import annotations

import os

import torch

from lmc.core.errors import SettingError


def use_device(device: str, threads: int | None) -> torch.device:
    """The device to compute on, after setting torch's threads.

    Raises:
        SettingError: torch does not know the device or cannot reach it.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingError(
            f"device={device}: torch cannot compute there", "auto, cpu, cuda or cuda:N"
        ) from error
    return chosen


def free_memory(device: torch.device) -> int:
    """Bytes free on the device that computes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def readable_size(size: float) -> str:
    """Bytes as people read them."""
    return f"{size / 1e9:.2g} GB" if size >= 1e8 else f"{size / 1e6:.2g} MB"


def readable_time(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds > 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{max(1, round(seconds))} seconds"
