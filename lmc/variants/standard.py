"""The ordinary network."""

from __future__ import annotations

from torch import nn

from lmc.variants.constraint import Constraint


def standard(model: nn.Module, mask_seed: int) -> Constraint:
    """D = 1, f = 0: permutation symmetric."""
    return Constraint()
