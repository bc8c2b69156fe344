"""The ends of a path are stored runs, so their losses are known: a scan that finds others is wrong."""

from __future__ import annotations

import math

import torch

from lmc import paths
from lmc.core.errors import MismatchError
from lmc.jobs.aligning.pair import Aligned
from lmc.paths.scene import Evaluated, Scene

_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
"""Beyond the rounding of other devices, batches and orders of sums in float32 (TF32: 1e-3)."""
_HALF = {torch.float16: 3e-2, torch.bfloat16: 3e-2}
"""Relative, for networks of such weights."""


def scan_between(pair: Aligned, scene: Scene) -> Evaluated:
    """Scan a pair, and compare the losses at both ends with the stored ones of the two runs.

    They hold the whole chain to account: the weights, the data, the network's code, the permutation of B,
    and what a scan computes only once. Not comparable where statistics were re-estimated.

    Raises:
        MismatchError: a loss differs by more than rounding; it names both.
    """
    found = paths.scan(scene)
    if scene.statistics is None:
        _check_ends(pair, found)
    return found


def _check_ends(pair: Aligned, found: Evaluated) -> None:
    relative = max(_HALF.get(tensor.dtype, _RELATIVE) for tensor in pair.a.values())
    for place, opened in ((0, pair.runs[0]), (-1, pair.runs[1])):
        for split, (losses, _) in found.items():
            stored, measured = opened.losses.get(split, math.nan), float(losses[place])
            if not _differ(stored, measured, relative):
                continue
            permuted = f", permuted by {pair.which['match']}" if place and pair.permuted else ""
            raise MismatchError(
                f"{opened.run.reference}@{opened.epoch}{permuted}: its {split} loss is {measured:.6g} "
                f"at its end of the path, but {stored:.6g} is stored",
                "is the network random in evaluation mode, or were weights or code changed since?",
            )


def _differ(stored: float, measured: float, relative: float) -> bool:
    if math.isnan(stored) or (math.isinf(stored) and stored == measured):
        return False
    return not math.isclose(stored, measured, rel_tol=relative, abs_tol=_ABSOLUTE)
