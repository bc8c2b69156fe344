"""A part of a network by itself: from one point to another, the rest left out.

Modules outside the part return NaN in their usual shape instead of being computed, so that whatever
depends on one of them shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from lmc.models.stack import Point, State, forward, portions
from lmc.paths.line import Between
from lmc.recording.evaluation import Replacements, Rows

ROOT = Point("", "output")


@dataclass(frozen=True)
class Call:
    """One call of a module: its output's point, when it began and ended, and the output's shape.

    ``shape`` is None where the output is not one floating tensor.
    """

    point: Point
    began: int
    ended: int
    shape: torch.Size | None
    dtype: torch.dtype


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every part's own mode comes back."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True


def calls(module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor) -> list[Call]:
    """Every call of every module in one forward pass, in the order in which they end.

    Args:
        tensors: name to (1, *shape).
        inputs: (B, *input_shape).
    """
    made: list[Call] = []
    begun: dict[str, list[int]] = {}
    counts: dict[str, int] = {}
    clock = iter(range(1 << 62))

    def listen(name: str, part: nn.Module) -> list[Any]:
        def before(*_: Any) -> None:
            begun.setdefault(name, []).append(next(clock))

        def after(_: nn.Module, args: Any, output: Any) -> None:
            count = counts[name] = counts.get(name, -1) + 1
            tensor = output if isinstance(output, Tensor) and output.is_floating_point() else None
            shape, dtype = (None, torch.float32) if tensor is None else (tensor.shape, tensor.dtype)
            made.append(Call(Point(name, "output", count), begun[name].pop(), next(clock), shape, dtype))

        return [part.register_forward_pre_hook(before), part.register_forward_hook(after)]

    with ExitStack() as context, evaluating(module):
        for name, part in module.named_modules():
            for handle in listen(name, part):
                context.callback(handle.remove)
        forward(module, tensors, inputs)
    return made


def calls_of(made: Iterable[Call], point: Point) -> list[Call]:
    """The calls that a point speaks of; all of a module's where it says none."""
    return [
        call for call in made if call.point.module == point.module and point.call in (None, call.point.call)
    ]


def has_weight(module: nn.Module, call: Call) -> bool:
    """Whether it is a call of a layer: of a module with a weight of its own."""
    parameters = module.get_submodule(call.point.module).parameters(recurse=False)
    return call.point.module != "" and any(tensor.dim() > 1 for tensor in parameters)


class _Blank:
    """NaN in place of a module's outputs, (K, *shape)."""

    def __init__(self, call: Call, device: torch.device) -> None:
        self.shape, self.dtype, self.device = call.shape, call.dtype, device

    def __getitem__(self, runs: slice) -> Tensor:
        assert self.shape is not None
        shape = (runs.stop - runs.start, *self.shape)
        return torch.full(shape, torch.nan, dtype=self.dtype, device=self.device)


def left_out(
    made: Sequence[Call], device: torch.device, start: Point, end: Point = ROOT
) -> dict[str | Point, Rows]:
    """What stands in for every module that is not needed to go on from ``start`` as far as ``end``.

    Args:
        made: the calls of a batch of the same size.
    """
    begins = min(call.began for call in calls_of(made, start))
    ends = max(call.ended for call in calls_of(made, end))
    by_name: dict[str, list[Call]] = {}
    for call in made:
        by_name.setdefault(call.point.module, []).append(call)
    outside = {
        name: own[0]
        for name, own in by_name.items()
        if own[0].shape is not None
        and len({call.shape for call in own}) == 1
        and all(call.ended < begins or call.began > ends for call in own)
    }
    return {name: _Blank(call, device) for name, call in outside.items() if not _inside(name, outside)}


def _inside(name: str, others: Mapping[str, Call]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:length]) in others for length in range(1, len(parts)))


def captured(
    module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, points: Iterable[Point]
) -> dict[Point, list[Tensor]]:
    """What every run has at some points in evaluation mode, (B, ...) a run."""
    capture = list(points)
    with evaluating(module):
        seen = [forward(module, part, inputs, capture=capture)[1] for _, part in portions(tensors)]
    return {point: [run for part in seen for run in part[point]] for point in capture}


class _Meeting(TorchFunctionMode):
    """Finds the operation in which what depends on a tensor meets NaN from elsewhere."""

    def __init__(self, module: nn.Module, start: Tensor) -> None:
        super().__init__()
        self.live = {id(start): start}
        self.inside: list[str] = []
        self.found = ""
        self.names = {part: name for name, part in module.named_modules()}

    def enter(self, part: nn.Module, _: Any) -> None:
        self.inside.append(self.names[part])

    def leave(self, *_: Any) -> None:
        self.inside.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        if any(id(each) in self.live for each in given):
            others = [each for each in given if id(each) not in self.live]
            if not self.found and any(each.is_floating_point() and each.isnan().any() for each in others):
                here = self.inside[-1] if self.inside else ""
                self.found = f"{func.__name__.strip('_')} in {here or 'the model'}"
            self.live.update({id(each): each for each in tree_leaves(result) if isinstance(each, Tensor)})
        return result


def bypass(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    start: Point,
    end: Point = ROOT,
    made: Sequence[Call] | None = None,
) -> str | None:
    """What stops the network from going on from ``start`` to ``end`` without anything else of the inputs.

    Everything else is NaN; the answer is the operation in which it meets what comes from ``start``, None
    where ``end`` is reached without.

    Args:
        tensors: name to (1, *shape), finite.
        inputs: (B, *input_shape).
        made: the calls of these inputs, where they are known.
    """
    made = calls(module, tensors, inputs) if made is None else made
    poisoned = torch.full_like(inputs, torch.nan) if inputs.is_floating_point() else inputs
    with evaluating(module), ExitStack() as context:
        _, seen = forward(module, tensors, inputs, capture=[start])
        known: dict[str | Point, Tensor] = {
            where: blank[0:1] for where, blank in left_out(made, inputs.device, start, end).items()
        }
        meeting = _Meeting(module, seen[start])
        for part in module.modules():
            context.callback(part.register_forward_pre_hook(meeting.enter).remove)
            context.callback(part.register_forward_hook(meeting.leave).remove)
        with meeting:
            _, after = forward(
                module, tensors, poisoned, capture=[end], replace={**known, start: seen[start]}
            )
    return None if after[end].isfinite().all() else meeting.found or "an operation"


class Section:
    """A network from ``start`` to ``end`` that begins with the mean of what two networks have at ``start``.

    Args:
        ends: the two networks, name to (2, *shape).
        alphas: L weights of the second.
    """

    def __init__(
        self, module: nn.Module, ends: State, alphas: Sequence[float], start: Point, end: Point = ROOT
    ) -> None:
        self.module, self.ends, self.alphas = module, ends, alphas
        self.start, self.end = start, end
        self._made: dict[int, list[Call]] = {}

    @property
    def _first(self) -> State:
        return {name: tensor[:1] for name, tensor in self.ends.items()}

    def blanks(self, inputs: Tensor) -> dict[str | Point, Rows]:
        """What stands in for the rest of the network."""
        if len(inputs) not in self._made:
            self._made[len(inputs)] = calls(self.module, self._first, inputs)
        return left_out(self._made[len(inputs)], inputs.device, self.start, self.end)

    def holds(self, inputs: Tensor, name: str) -> bool:
        """Whether a module is called in it."""
        made = calls(self.module, self._first, inputs)
        begins = min(call.began for call in calls_of(made, self.start))
        ends = max(call.ended for call in calls_of(made, self.end))
        return any(
            begins < call.began and call.ended <= ends for call in calls_of(made, Point(name, "output"))
        )

    def between(self, inputs: Tensor, a: Tensor, b: Tensor) -> dict[str | Point, Rows]:
        """What stands in for the rest, and at ``start``: the means of a and b, (B, ...)."""
        return {**self.blanks(inputs), self.start: Between(a, b, self.alphas)}

    @property
    def replacements(self) -> Replacements:
        """For ``evaluate`` and ``reestimate`` of L networks, one an alpha."""

        def replace(inputs: Tensor) -> Mapping[str | Point, Rows]:
            a, b = captured(self.module, self.ends, inputs, [self.start])[self.start]
            return self.between(inputs, a, b)

        return replace
