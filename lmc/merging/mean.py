"""The mean of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lmc.merging.material import Material, Merged
from lmc.models.stack import State


def mean(material: Material) -> Merged:
    """The average of N aligned networks."""
    return Merged(average(material.states))


def average(states: Sequence[Mapping[str, Tensor]]) -> State:
    """The average of N aligned state dicts, summed in float64; integer buffers are the first's."""
    merged = {}
    for name, first in states[0].items():
        if first.is_floating_point():
            merged[name] = torch.stack([state[name].double() for state in states]).mean(dim=0).to(first.dtype)
        else:
            merged[name] = first.clone()
    return merged
