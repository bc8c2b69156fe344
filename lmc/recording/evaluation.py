"""Mean loss and accuracy of a stack of networks, exactly: sums over samples in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lmc.models.stack import chunk, forward, size

Losses = Callable[[Tensor, Tensor], Tensor]


def evaluate(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    losses: Losses,
    correct: Losses,
    replace: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean loss (K,) and accuracy (K,) in float64, in evaluation mode; NaN for an empty split.

    Args:
        tensors: name to (K, *shape).
        inputs: (N, *input_shape), the same for every run. Not a mean of batch means.
        losses, correct: outputs (K, B, ...) and targets (K, B, ...) to (K, B).
        replace: from a batch, outputs (K, B, ...) of modules that need not be computed run by run.
    """
    runs = size(tensors)
    device = next(iter(tensors.values())).device
    loss = torch.zeros(runs, dtype=torch.float64, device=device)
    accuracy = torch.zeros_like(loss)
    training = module.training
    module.eval()
    with torch.no_grad():
        step = chunk(len(inputs), runs * activation_size(module, inputs.shape[1:])) if len(inputs) else 1
        for start in range(0, len(inputs), step):
            x, y = inputs[start : start + step].to(device), targets[start : start + step].to(device)
            outputs, _ = forward(module, tensors, x, replace=replace(x) if replace else None)
            y = y.expand(runs, *y.shape)
            loss += losses(outputs, y).double().sum(dim=1)
            accuracy += correct(outputs, y).double().sum(dim=1)
    module.train(training)
    samples = len(inputs) or math.nan
    return (loss / samples).cpu(), (accuracy / samples).cpu()


def activation_size(module: nn.Module, input_shape: torch.Size) -> int:
    """Roughly the numbers one sample occupies on its way, to choose a chunk: all layers' outputs."""
    positions = (
        math.prod(input_shape[1:]) if any(isinstance(part, nn.Conv2d) for part in module.modules()) else 1
    )
    rows = sum(tensor.shape[0] for tensor in module.parameters() if tensor.dim() > 1)
    return math.prod(input_shape) + rows * positions
