"""Where a network can be cut in two: the tensors on which alone everything that follows depends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from lmc.models.modes import evaluating
from lmc.models.stack import Point, forward, portions, stack_of_one

OUTPUTS = Point("", "output")


@dataclass(frozen=True)
class Call:
    """One call of a module: the point of its output, when it began and ended, whether it is a layer.

    A *layer* is a module with a weight of two or more axes of its own.
    """

    point: Point
    began: int
    ended: int
    layer: bool


@dataclass(frozen=True)
class Cut:
    """Where hidden states can be exchanged: what the next layer reads.

    ``layer``: the layer that ends there, or the block where several do. ``layers``: all that end there.
    """

    layer: str
    point: Point
    layers: tuple[str, ...]


def calls(module: nn.Module, state: Mapping[str, Tensor], inputs: Tensor) -> list[Call]:
    """Every call in one forward pass of which one floating tensor comes out, in the order they end.

    Args:
        state: name to (*shape).
        inputs: (B, *input_shape).
    """
    made: list[Call] = []
    begun: dict[str, list[int]] = {}
    counts: dict[str, int] = {}
    clock = iter(range(1 << 62))

    def listen(name: str, part: nn.Module) -> list[Any]:
        layer = any(tensor.dim() > 1 for tensor in part.parameters(recurse=False)) and not _is_norm(part)

        def before(*_: Any) -> None:
            begun.setdefault(name, []).append(next(clock))

        def after(_: nn.Module, __: Any, output: Any) -> None:
            count = counts[name] = counts.get(name, -1) + 1
            call = Call(Point(name, "output", count), begun[name].pop(), next(clock), layer and name != "")
            if isinstance(output, Tensor) and output.is_floating_point():
                made.append(call)

        return [part.register_forward_pre_hook(before), part.register_forward_hook(after)]

    with ExitStack() as context, evaluating(module):
        for name, part in module.named_modules():
            for handle in listen(name, part):
                context.enter_context(handle)
        forward(module, stack_of_one(state), inputs)
    return made


def _is_norm(part: nn.Module) -> bool:
    return type(part).__module__.startswith(("torch.nn.modules.normalization", "torch.nn.modules.batchnorm"))


def captured(
    module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, points: Iterable[Point]
) -> dict[Point, list[Tensor]]:
    """What every run of a stack has at some points in evaluation mode, (B, ...) per run."""
    capture = list(points)
    with evaluating(module):
        seen = [forward(module, part, inputs, capture=capture)[1] for _, part in portions(tensors)]
    return {point: [run for part in seen for run in part[point]] for point in capture}


def decides(
    module: nn.Module, state: Mapping[str, Tensor], inputs: Tensor, start: Point, end: Point = OUTPUTS
) -> bool:
    """Whether ``end`` depends on ``start`` alone: it stays when the inputs change and ``start`` does not.

    Decided on these weights and inputs: a constant skip connection around ``start`` is not noticed.

    Args:
        inputs: (B, *input_shape), a few.
    """
    tensors = stack_of_one(state)
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0)).to(inputs.device)
    others = inputs + noise.to(inputs.dtype) if inputs.is_floating_point() else inputs.flip(0).roll(1, -1)
    with evaluating(module):
        _, seen = forward(module, tensors, inputs, capture=[start, end])
        _, again = forward(module, tensors, others, capture=[end], replace={start: seen[start]})
    return torch.allclose(seen[end], again[end], rtol=1e-5, atol=1e-6)


def cuts(module: nn.Module, state: Mapping[str, Tensor], inputs: Tensor) -> list[Cut]:
    """Every cut between layers in order, the last place before the next layer; not the outputs themselves.

    Layers that a skip connection bypasses, as in a residual block, end together where it joins again.

    Args:
        inputs: (B, *input_shape), a few.
    """
    made = calls(module, state, inputs)
    layers = [call for call in made if call.layer]
    found: list[Cut] = []
    pending: list[str] = []
    ends = [*(call.began for call in layers[1:]), made[-1].ended][: len(layers)]
    for layer, until in zip(layers, ends, strict=True):
        pending.append(layer.point.module)
        here = [call.point for call in made if layer.ended <= call.ended < until]
        point = _last_cut(module, state, inputs, here)
        if point is not None:
            name = _name(pending, point.module, [cut.layer for cut in found])
            found.append(Cut(name, point, tuple(pending)))
            pending = []
    return found


def _last_cut(
    module: nn.Module, state: Mapping[str, Tensor], inputs: Tensor, points: Sequence[Point]
) -> Point | None:
    """The last of the points on which alone the outputs depend, and which are not the outputs."""
    with evaluating(module):
        outputs, seen = forward(module, stack_of_one(state), inputs, capture=points)
    for point in reversed(points):
        same = seen[point].shape == outputs.shape and torch.equal(seen[point], outputs)
        if not same and decides(module, state, inputs, point):
            return point
    return None


def _name(layers: Sequence[str], module: str, taken: Collection[str]) -> str:
    if len(layers) == 1:
        return layers[0]
    paths = [layer.split(".")[:-1] for layer in layers]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    block = ".".join(parts[0] for parts in shared)
    return block if block and block not in taken else module
