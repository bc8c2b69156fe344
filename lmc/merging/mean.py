"""The mean of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def mean(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The average of N aligned state dicts, summed in float64; integer buffers are the first's."""
    merged = {}
    for name, first in states[0].items():
        if first.is_floating_point():
            merged[name] = torch.stack([state[name].double() for state in states]).mean(dim=0).to(first.dtype)
        else:
            merged[name] = first.clone()
    return merged
