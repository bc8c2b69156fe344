"""A copy of a network that shares nothing with it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def duplicate(module: nn.Module) -> nn.Module:
    """A deep copy of a network, also of one that keeps tensors it has computed.

    ``torch.nn.utils.weight_norm``, ``spectral_norm`` and ``prune`` leave the weight of the last call on
    the layer, with its gradient's graph or as vmap made it, and torch refuses to copy such a tensor. The
    next call computes it anew.
    """
    computed = {
        id(value): _values(value)
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter)
    }
    return copy.deepcopy(module, computed)


def _values(tensor: Tensor) -> Tensor:
    try:
        return copy.deepcopy(tensor.detach())
    except (NotImplementedError, RuntimeError):  # of a call under vmap that has ended
        return torch.empty(0)
