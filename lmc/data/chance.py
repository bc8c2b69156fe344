"""The best constant prediction, whose loss is the scale on which another is small or large."""

from __future__ import annotations

import torch
from torch import Tensor

from lmc.data.dataset import Dataset, Split


def constant_output(dataset: Dataset) -> Tensor:
    """The constant output (C,), or (*output_shape), that is best on the training data.

    Classes are predicted by their frequencies (with one more count each), other targets by their mean.
    """
    seen = dataset.train.targets
    if not seen.is_floating_point():
        counts = torch.bincount(seen[seen >= 0].flatten(), minlength=dataset.outputs).double()
        return ((counts + 1) / (counts + 1).sum()).log().float()
    constant = seen.double().mean(dim=0)
    if dataset.task.name == "binary_cross_entropy":
        constant = torch.logit(constant, eps=1e-6)
    return constant.float()


def chance(dataset: Dataset, split: Split) -> float:
    """The mean loss on a split of ``constant_output``.

    Args:
        split: one of the dataset's, with samples.
    """
    constant, wanted = constant_output(dataset), split.targets
    shape = wanted.shape if wanted.is_floating_point() else (*wanted.shape, -1)
    losses: Tensor = dataset.task.losses(constant.expand(shape).contiguous(), wanted)
    return float(losses.double().mean())
