"""One random generator per purpose, so that no draw depends on another.

A seed is the hash of the purpose and its keys: the order of a run's batches in epoch 7 comes from
``("order", seed, 7)`` and needs neither the six epochs before nor the runs beside it.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch

Generators = torch.Generator | np.random.Generator | random.Random


def derive(*keys: str | int) -> int:
    """A 63-bit seed from any keys, the same on every machine."""
    digest = hashlib.sha256(json.dumps(keys).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*keys: str | int) -> torch.Generator:
    """A CPU generator for one purpose, e.g. ``generator("mask", mask_seed, "layers.0.weight")``."""
    return torch.Generator().manual_seed(derive(*keys))


@contextmanager
def drawing(seed: int, own: Iterable[Generators] | None = ()) -> Iterator[None]:
    """Code that draws from generators it was not given draws from ``seed``; afterwards they stand as before.

    The generators of torch on every device, numpy's and Python's, and ``own``; torch's alone, which is
    faster, where ``own`` is None. One made inside (``numpy.random.default_rng()``) is out of reach.
    """
    with torch.random.fork_rng():
        _seed_torch(seed)
        if own is None:
            yield
            return
        restore = [_seeded(each, seed) for each in own]
        arrays, plain = np.random.get_state(), random.getstate()
        np.random.seed(seed % 2**32)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(arrays)
            random.setstate(plain)
            for put_back in restore:
                put_back()


def _seed_torch(seed: int) -> None:
    # Without a device, torch.manual_seed formats the stack for it, which takes longer than all else here.
    if _has_devices():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


@lru_cache
def _has_devices() -> bool:
    return torch.accelerator.is_available()


def _seeded(own: Generators, seed: int) -> Callable[[], object]:
    """Seed a generator; what brings its state back."""
    if isinstance(own, torch.Generator):
        state = own.get_state()
        own.manual_seed(seed)
        return lambda: own.set_state(state)
    if isinstance(own, random.Random):
        numbers = own.getstate()
        own.seed(seed)
        return lambda: own.setstate(numbers)
    bits, before = own.bit_generator, own.bit_generator.state
    bits.state = type(bits)(seed).state
    return lambda: setattr(bits, "state", before)


def standing(own: Iterable[Generators] = ()) -> dict[str, object]:
    """Where the generators stand that ``drawing`` seeds, by name; equal after code that drew nothing."""
    _, key, place, *rest = np.random.get_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "torch": [state.numpy().tobytes() for state in (torch.get_rng_state(), *devices)],
        "numpy": (np.asarray(key).tobytes(), place, *rest),
        "python": random.getstate(),
        "own": [_standing(each) for each in own],
    }


def _standing(own: Generators) -> object:
    if isinstance(own, torch.Generator):
        return own.get_state().numpy().tobytes()
    return own.getstate() if isinstance(own, random.Random) else repr(own.bit_generator.state)
