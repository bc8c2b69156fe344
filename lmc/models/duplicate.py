"""A copy of a network that shares nothing with it."""

from __future__ import annotations

import copy

from torch import Tensor, nn


def duplicate(module: nn.Module) -> nn.Module:
    """A deep copy of a network, also of one that keeps tensors it has computed.

    ``torch.nn.utils.weight_norm``, ``spectral_norm`` and ``prune`` leave the weight of the last call on
    the layer, with its gradient's graph, and torch refuses to copy such a tensor. Its values are copied;
    the next call computes it anew.
    """
    computed = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    return copy.deepcopy(module, computed)
