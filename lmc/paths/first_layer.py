"""A first layer that is linear in the data is linear along a line of weights too: two ends, not L points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lmc.core.linear_algebra import between
from lmc.models.modes import evaluating
from lmc.models.stack import forward, stack_of_one
from lmc.recording.evaluation import Replacements

Pair = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
"""State dicts of two networks of one architecture, A and B."""
_TOLERANCE = 1e-5


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


@dataclass
class _Call:
    """What a layer was seen to read and give; ``count`` of its calls."""

    count: int = 0
    read: Tensor | None = None
    gave: Tensor | None = None


@dataclass(frozen=True)
class FirstLayer:
    """An ``nn.Linear`` that reads the data as they are, in samples of ``shape``."""

    name: str
    shape: torch.Size

    def outputs(self, pair: Pair, alphas: Sequence[float], x: Tensor) -> Between:
        """Its outputs for a batch (B, ...), at every l."""
        read = x.reshape(len(x), *self.shape)
        start, end = (
            nn.functional.linear(read, state[f"{self.name}.weight"], state.get(f"{self.name}.bias"))
            for state in pair
        )
        return Between(start, end, alphas)

    def shared(self, pair: Pair, alphas: Sequence[float]) -> Replacements:
        """What stands in for the layer while points of a line are evaluated."""
        return lambda x: {self.name: self.outputs(pair, alphas, x)}


def first_layer(module: nn.Module, pair: Pair, examples: Tensor) -> FirstLayer | None:
    """The layer whose outputs need not be computed at every l, if there is one.

    Only a plain ``nn.Linear`` without hooks, called once, can be. Whether it reads every sample as it is
    (reshaped at most), and whether its outputs halfway are those in the middle of both ends', is tried on
    the examples and on noise. A network that does something else with other data is not seen through.

    Args:
        examples: (N, *input_shape) of the data.
    """
    example = examples.to(next(iter(pair[0].values())).device)
    middle = {
        name: between(first, pair[1][name], 0.5) if first.is_floating_point() else first
        for name, first in pair[0].items()
    }
    names = [name for name, part in module.named_modules() if _plain(part) and f"{name}.weight" in middle]
    found = _proved(module, middle, names, pair, example)
    if found is None or not example.is_floating_point():
        return found
    noise = 10 * torch.randn(example.shape, generator=torch.Generator().manual_seed(0)).to(example)
    try:
        return _proved(module, middle, [found.name], pair, noise)
    except Exception:  # a network may refuse noise, and then says nothing
        return None


def _proved(
    module: nn.Module, middle: Mapping[str, Tensor], names: Sequence[str], pair: Pair, x: Tensor
) -> FirstLayer | None:
    """The first of some layers that reads a batch as it is, and is linear in l there."""
    for name, call in _watched(module, middle, names, x).items():
        read, gave = call.read, call.gave
        if call.count != 1 or read is None or gave is None or read.shape[0] != len(x):
            continue
        if read.numel() != x.numel() or not torch.equal(read.flatten(1), x.flatten(1)):
            continue
        found = FirstLayer(name, read.shape[1:])
        wanted = found.outputs(pair, [0.5], x)[:1][0]
        scale = _TOLERANCE * float(wanted.abs().max())
        if torch.allclose(gave, wanted, rtol=1e-4, atol=scale):
            return found
    return None


def _plain(part: nn.Module) -> bool:
    hooks = (part._forward_hooks, part._forward_pre_hooks)
    return type(part) is nn.Linear and "forward" not in vars(part) and not any(hooks)


def _watched(
    module: nn.Module, state: Mapping[str, Tensor], names: Sequence[str], x: Tensor
) -> dict[str, _Call]:
    calls = {name: _Call() for name in names}

    def hook(call: _Call, _: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        call.count += 1
        call.read, call.gave = (args[0].clone() if args else None), output.clone()

    with ExitStack() as context, evaluating(module):
        for name, call in calls.items():
            part = module.get_submodule(name)
            context.callback(part.register_forward_hook(partial(hook, call)).remove)
        forward(module, stack_of_one(state), x.clone())
    return calls
