"""Do two networks predict the same?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from lmc.data.tasks import NO_CLASS
from lmc.models.modes import evaluating
from lmc.models.stack import chunk, forward, portioned, portions, size
from lmc.recording.evaluation import Losses, activation_size
from lmc.recording.moments import RunPair


def as_targets(outputs: Tensor, targets: Tensor) -> Tensor:
    """What a network predicts, in the form of its targets.

    Args:
        outputs: (..., B, C), or (..., B, nodes, C) of a graph.
        targets: of the samples, as the task has them. Integers mean classes, and a node that has none
            keeps none; floats mean labels (a regression's predictions agree as NaN, by its task).
    """
    if targets.is_floating_point():
        return (outputs > 0).to(targets.dtype)
    predicted = outputs.argmax(-1)
    return torch.where(targets == NO_CLASS, targets, predicted)


def agreement(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    correct: Losses,
    pairs: Iterable[RunPair],
) -> dict[RunPair, float]:
    """Share of samples (nodes, labels) on which the two networks of a pair predict the same.

    Evaluation mode, in one pass over the inputs; NaN for regression and for an empty split.

    Args:
        tensors: name to (K, *shape).
        inputs, targets: (N, ...) of one split.
        correct: the task's accuracy of each sample: one network's predictions are the other's targets.
    """
    sums = dict.fromkeys(pairs, 0.0)
    device = next(iter(tensors.values())).device
    with evaluating(module):
        step = 1
        if len(inputs):
            step = chunk(len(inputs), size(tensors) * activation_size(module, inputs[:2]))
        for samples in portioned(len(inputs), step):
            x, y = inputs[samples].to(device), targets[samples].to(device)
            outputs = torch.cat([forward(module, part, x)[0] for _, part in portions(tensors)])
            for a, b in sums:
                same = correct(outputs[a], as_targets(outputs[b], y))
                sums[a, b] += float(same.double().sum())
    count = len(inputs) or math.nan
    return {pair: total / count for pair, total in sums.items()}
