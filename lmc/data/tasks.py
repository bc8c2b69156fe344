"""What a network is asked to do with a sample: the loss it is trained on, and its accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NO_CLASS = -1
"""The target of a node whose class is unknown or belongs to another split."""


@dataclass(frozen=True)
class Task:
    """A loss and an accuracy, sample by sample.

    Both accept any leading axes (runs, points of a path), and targets without them, shared by all.
    They are differentiable where the loss is, and work under ``torch.func.vmap``.
    """

    name: str
    _losses: Callable[[Tensor, Tensor], Tensor]
    _correct: Callable[[Tensor, Tensor], Tensor]

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each sample, a mean over outputs where there are several.

        Args:
            outputs: (..., B, C), logits for the two cross-entropies.
            targets: int64 (..., B) for cross-entropy, else float (..., B, C). With the nodes
                of a graph, outputs (..., B, nodes, C) and targets (..., B, nodes), it is the mean over nodes
                but those whose target is -1.

        Returns:
            (..., B).
        """
        return self._losses(outputs, targets)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The accuracy of each sample, in [0, 1].

        One or zero for cross-entropy, the share of labels for binary cross-entropy and of nodes for
        node classification, NaN for squared error. Shapes as in ``losses``; the result has the dtype of
        ``outputs``.
        """
        return self._correct(outputs, targets)


def _class_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    leading = outputs.shape[:-1]
    flat = targets.expand(leading).reshape(-1)
    return F.cross_entropy(outputs.reshape(-1, outputs.shape[-1]), flat, reduction="none").reshape(leading)


def _class_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(-1) == targets).to(outputs.dtype)


def _node_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    leading = outputs.shape[:-1]
    flat = targets.expand(leading).reshape(-1)
    rows = outputs.reshape(-1, outputs.shape[-1])
    losses = F.cross_entropy(rows, flat, reduction="none", ignore_index=NO_CLASS).reshape(leading)
    return losses.sum(-1) / (targets != NO_CLASS).sum(-1)


def _node_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    found = (outputs.argmax(-1) == targets).to(outputs.dtype)
    return found.sum(-1) / (targets != NO_CLASS).sum(-1)


def _label_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    shared = targets.expand(outputs.shape)
    return F.binary_cross_entropy_with_logits(outputs, shared, reduction="none").mean(-1)


def _label_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs > 0) == (targets > 0.5)).to(outputs.dtype).mean(-1)


def _squared_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs, targets.expand(outputs.shape), reduction="none").mean(-1)


def _no_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.full_like(outputs[..., 0], torch.nan)


TASKS: dict[str, Task] = {
    "cross_entropy": Task("cross_entropy", _class_losses, _class_correct),
    "node_classification": Task("node_classification", _node_losses, _node_correct),
    "binary_cross_entropy": Task("binary_cross_entropy", _label_losses, _label_correct),
    "squared_error": Task("squared_error", _squared_losses, _no_accuracy),
}
