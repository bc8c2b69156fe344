"""The modes of a network's parts: how every room runs a network in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module, *, gradients: bool = False) -> Iterator[None]:
    """Evaluation mode; afterwards every part has its own mode again, also after an exception.

    A network may hold parts of both modes (a frozen BatchNorm in a network that trains), so
    ``module.train(before)`` would not bring them back. ``nn.TransformerEncoder`` and its attention call
    their parts also where no gradient is needed: torch's fast path computes them all at once, so that
    nothing could be recorded or replaced.

    Args:
        gradients: leave gradients on or off as they are; by default they are off within the block.
    """
    modes = [(part, part.training) for part in module.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.set_grad_enabled(gradients and torch.is_grad_enabled()):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, mode in modes:
            part.training = mode
