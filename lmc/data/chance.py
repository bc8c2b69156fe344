"""What a constant prediction loses: the scale on which a loss is small or large."""

from __future__ import annotations

import torch
from torch import Tensor

from lmc.data.dataset import Dataset, Split


def chance(dataset: Dataset, split: Split) -> float:
    """The mean loss on a split of the constant output that is best on the training data.

    Classes are predicted by their frequencies (with one more count each), other targets by their mean.

    Args:
        split: one of the dataset's, with samples.
    """
    seen, wanted = dataset.train.targets, split.targets
    if not seen.is_floating_point():
        counts = torch.bincount(seen[seen >= 0].flatten(), minlength=dataset.outputs).double()
        constant = ((counts + 1) / (counts + 1).sum()).log()
        outputs = constant.expand(*wanted.shape, -1)
    else:
        constant = seen.double().mean(dim=0)
        if dataset.task.name == "binary_cross_entropy":
            constant = torch.logit(constant, eps=1e-6)
        outputs = constant.expand_as(wanted)
    losses: Tensor = dataset.task.losses(outputs.float().contiguous(), wanted)
    return float(losses.double().mean())
