"""The straight line between two networks, in weights and in hidden states (THEORY 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from lmc.core.linear_algebra import between
from lmc.models.conduct import conduct
from lmc.models.modes import evaluating
from lmc.models.stack import Point, State, forward
from lmc.recording.evaluation import Replacements

Alphas = Sequence[float]
Pair = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
"""State dicts of two networks of one architecture, A and B."""


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

    def shortcut(self, module: nn.Module, pair: Pair, alphas: Alphas, example: Tensor) -> Replacements | None:
        """Outputs of a first layer that is linear in the data are linear in l too: two ends, not L points."""
        first = first_linear(module, pair[0], example)
        return None if first is None else _shared(*first, pair, alphas)


def first_linear(
    module: nn.Module, state: Mapping[str, Tensor], example: Tensor
) -> tuple[str, torch.Size] | None:
    """The ``nn.Linear`` that reads the data as they are (reshaped at most), if there is one.

    Returns:
        its name, and the shape it reads a sample in.
    """
    example = example.to(next(iter(state.values())).device)
    found: list[tuple[str, torch.Size]] = []

    def listen(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            value = args[0]
            same = value.data_ptr() == example.data_ptr() and value.numel() == example.numel()
            if same and len(value) == len(example):
                found.append((name, value.shape[1:]))

        return hook

    layers = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    with ExitStack() as context, evaluating(module):
        conduct(module, state, example)  # which a first pass would run on a copy of the example
        for name, part in layers:
            context.enter_context(part.register_forward_pre_hook(listen(name)))
        forward(module, {name: tensor[None] for name, tensor in state.items()}, example)
    return found[0] if found else None


class Between:
    """The points of a line between two tensors, computed when asked for; the ends are exact."""

    def __init__(self, start: Tensor, end: Tensor, alphas: Sequence[float]) -> None:
        self.start, self.end, self.alphas = start, end, alphas
        self.finite = bool(start.isfinite().all())

    def __getitem__(self, points: slice) -> Tensor:
        """(L, *shape) for some of the L points."""
        found = [self._at(alpha) for alpha in self.alphas[points]]
        return found[0][None] if len(found) == 1 else torch.stack(found)

    def _at(self, alpha: float) -> Tensor:
        made = torch.lerp(self.start, self.end, alpha)
        return made if self.finite else torch.where(self.start == self.end, self.start, made)


def _shared(name: str, shape: torch.Size, pair: Pair, alphas: Alphas) -> Replacements:
    def outputs(x: Tensor) -> Mapping[str | Point, Between]:
        read = x.reshape(len(x), *shape)
        start, end = (
            nn.functional.linear(read, state[f"{name}.weight"], state.get(f"{name}.bias")) for state in pair
        )
        return {name: Between(start, end, alphas)}

    return outputs
