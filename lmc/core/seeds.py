"""One random generator per purpose, so that no draw depends on another.

A seed is the hash of the purpose and its keys: the order of a run's batches in epoch 7 comes from
``("order", seed, 7)`` and needs neither the six epochs before nor the runs beside it.
"""

from __future__ import annotations

import hashlib
import json

import torch


def derive(*keys: str | int) -> int:
    """A 63-bit seed from any keys, the same on every machine."""
    digest = hashlib.sha256(json.dumps(keys).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*keys: str | int) -> torch.Generator:
    """A CPU generator for one purpose, e.g. ``generator("mask", mask_seed, "layers.0.weight")``."""
    return torch.Generator().manual_seed(derive(*keys))
