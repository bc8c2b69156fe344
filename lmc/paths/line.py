"""The straight line between two networks, in weights and in hidden states (THEORY 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lmc.core.linear_algebra import between
from lmc.models.stack import State
from lmc.paths.first_layer import Pair, first_layer
from lmc.recording.evaluation import Replacements

Alphas = Sequence[float]


def interpolate(a: Mapping[str, Tensor], b: Mapping[str, Tensor], alphas: Sequence[float]) -> State:
    """theta(l) = (1 - l) A + l B for every l, stacked (L, *shape). Integer buffers are A's."""
    points = {}
    for name, first in a.items():
        if not first.is_floating_point():
            points[name] = first.expand(len(alphas), *first.shape).clone()
            continue
        points[name] = first.new_empty(len(alphas), *first.shape)
        for point, alpha in zip(points[name], alphas, strict=True):
            between(first, b[name], alpha, out=point)
    return points


class Line:
    """The straight line: weights and hidden layers that are linear in them are interpolated."""

    def points(self, pair: Pair, alphas: Alphas) -> State:
        """(1 - l) A + l B, as ``interpolate``."""
        return interpolate(*pair, alphas)

    def shortcut(
        self, module: nn.Module, pair: Pair, alphas: Alphas, examples: Tensor
    ) -> Replacements | None:
        """The outputs of a first layer that is linear in the data, where there is one."""
        first = first_layer(module, pair, examples)
        return None if first is None else first.shared(pair, alphas)
