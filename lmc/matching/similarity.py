"""How alike the neurons of two runs are, from moments (THEORY 4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lmc.recording.moments import Moments

# A unit whose standard deviation is below this share of its largest neighbour's is constant:
# its correlation would be rounding.
_CONSTANT = 1e-7


def pearson(moments: Moments, a: int, b: int) -> Tensor:
    """Pearson correlation of every neuron of run a with every one of run b, (n, n); constant units give 0."""
    sd_a, sd_b = moments.variance[a].sqrt(), moments.variance[b].sqrt()
    scale = sd_a[:, None] * sd_b[None, :]
    varies = ~constant(moments, a)[:, None] & ~constant(moments, b)[None, :]
    correlation = moments.covariance(a, b) / torch.where(varies, scale, 1)
    return torch.where(varies, correlation.clamp(-1, 1), 0)


def absolute_pearson(moments: Moments, a: int, b: int) -> Tensor:
    """|Pearson|, blind to sign."""
    return pearson(moments, a, b).abs()


def dot(moments: Moments, a: int, b: int) -> Tensor:
    """Mean dot product E[x_i y_j]; constant units give 0, as in the other similarities."""
    product = moments.covariance(a, b) + torch.outer(moments.mean[a], moments.mean[b])
    varies = ~constant(moments, a)[:, None] & ~constant(moments, b)[None, :]
    return torch.where(varies, product, 0)


def constant(moments: Moments, run: int) -> Tensor:
    """Which neurons of a run are the same on all data, (n,) bool."""
    sd = moments.variance[run].sqrt()
    level = moments.mean[run].abs().maximum(sd.amax())
    return ~(sd > _CONSTANT * level)


SIMILARITIES: dict[str, Callable[[Moments, int, int], Tensor]] = {
    "pearson": pearson,
    "absolute": absolute_pearson,
    "dot": dot,
}
