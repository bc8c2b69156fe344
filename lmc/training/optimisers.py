"""Optimisers on a stack of runs, with decoupled weight decay towards the centre (THEORY 1).

Training holds the effective weight w. Gradients are masked by D, and decay is ``w.lerp_(f, lr * wd)``
just before the step of an optimiser without decay of its own: AdamW on theta exactly, and entries that
D fixes never change by a bit. (Computing D * theta + f in the forward pass costs a third more.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor


def adamw(
    leaves: Iterable[Tensor], learning_rate: float, momentum: float, nesterov: bool
) -> torch.optim.Optimizer:
    """AdamW (arXiv 1711.05101) with torch's betas; ``momentum`` and ``nesterov`` are not used."""
    return torch.optim.AdamW(leaves, lr=learning_rate, weight_decay=0.0, fused=True)


def sgd(
    leaves: Iterable[Tensor], learning_rate: float, momentum: float, nesterov: bool
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        leaves, lr=learning_rate, momentum=momentum, nesterov=nesterov and momentum > 0, weight_decay=0.0
    )


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": adamw, "sgd": sgd}


class Decay:
    """Pull every leaf that has a gradient towards its centre, zero where none is given.

    What the loss does not depend on stays, as it does in AdamW.
    """

    def __init__(self, leaves: Mapping[str, Tensor], centres: Mapping[str, Tensor]) -> None:
        self.centred = [(leaves[name], centre) for name, centre in centres.items()]
        self.plain = [leaf for name, leaf in leaves.items() if name not in centres]

    @torch.no_grad()
    def __call__(self, amount: float) -> None:
        """Move by ``amount`` = learning rate * weight decay of the way."""
        if amount == 0:
            return
        if plain := [leaf for leaf in self.plain if leaf.grad is not None]:
            torch._foreach_mul_(plain, 1 - amount)
        for leaf, centre in self.centred:
            if leaf.grad is not None:
                leaf.lerp_(centre, amount)


@torch.no_grad()
def clip(leaves: Iterable[Tensor], limit: float) -> None:
    """Scale each run's gradient to a norm of at most ``limit``; runs (the leading axis) do not mix."""
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    norm = sum(grad.flatten(1).square().sum(1) for grad in gradients)
    assert isinstance(norm, Tensor)
    scale = (limit / norm.sqrt().clamp_min(1e-12)).clamp_max(1.0)
    for grad in gradients:
        grad.mul_(scale.view(-1, *[1] * (grad.dim() - 1)))
