"""Mean loss and accuracy of a stack of networks, exactly: sums over samples in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Protocol

import torch
from torch import Tensor, nn

from lmc.models.modes import evaluating
from lmc.models.stack import Point, chunk, forward, portioned, portions, stack_of_one, state_of

Losses = Callable[[Tensor, Tensor], Tensor]


class RowsOfStack(Protocol):
    """A stack (K, ...) that is read some runs at a time: a tensor, or an object that computes its rows."""

    def __getitem__(self, runs: slice, /) -> Tensor: ...


Replacements = Callable[[Tensor], Mapping[str | Point, RowsOfStack]]
"""From a batch (B, ...), the tensors (K, B, ...) that replace outputs of modules or tensors at points."""


def evaluate(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    losses: Losses,
    correct: Losses,
    replace: Replacements | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean loss (K,) and accuracy (K,) in float64, in evaluation mode; NaN for an empty split.

    Args:
        tensors: name to (K, *shape).
        inputs: (N, *input_shape), the same for every run. Not a mean of batch means.
        losses, correct: outputs (K, B, ...) and targets (K, B, ...) to (K, B).
        replace: from a batch, what stands in at modules or points.
    """
    parts = list(portions(tensors))
    runs, together = parts[-1][0].stop, parts[0][0].stop
    device = next(iter(tensors.values())).device
    loss = torch.zeros(runs, dtype=torch.float64, device=device)
    accuracy = torch.zeros_like(loss)
    with evaluating(module):
        step = chunk(len(inputs), together * activation_size(module, inputs[:2])) if len(inputs) else 1
        for samples in portioned(len(inputs), step):
            x, y = inputs[samples].to(device), targets[samples].to(device)
            known = replace(x) if replace else {}
            for rows, part in parts:
                here = {name: value[rows] for name, value in known.items()}
                outputs, _ = forward(module, part, x, replace=here)
                shared = y.expand(len(outputs), *y.shape)
                loss[rows] += losses(outputs, shared).double().sum(dim=1)
                accuracy[rows] += correct(outputs, shared).double().sum(dim=1)
    count = len(inputs) or math.nan
    return (loss / count).cpu(), (accuracy / count).cpu()


def activation_size(module: nn.Module, example: Tensor) -> int:
    """Roughly how many numbers one sample needs in a forward pass: its own, and every layer's output.

    Measured in a forward pass, as the size of maps changes from layer to layer.

    Args:
        example: (B, *input_shape), a sample or two: statistics of a batch need two.
    """
    found = [example.numel()]
    layers = [part for part in module.modules() if any(own.dim() > 1 for own in part.parameters(False))]

    def hook(_: nn.Module, __: tuple[Tensor, ...], output: object) -> None:
        if isinstance(output, Tensor):
            found.append(output.numel())

    with ExitStack() as context, evaluating(module):
        for part in layers:
            context.enter_context(part.register_forward_hook(hook))
        own = stack_of_one(state_of(module))
        forward(module, own, example.to(next(iter(own.values()), example).device))
    return sum(found) // len(example)
