"""From a builder's raw data to standardised train, val and test splits."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lmc.core import seeds
from lmc.core.errors import DataError
from lmc.data.dataset import Dataset, Raw, Split
from lmc.data.tasks import TASKS

Fraction = Annotated[float, Field(ge=0, lt=1)]


def split(
    name: str,
    raw: Raw,
    *,
    split_seed: int = 0,
    val_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    standardise: bool = True,
) -> Dataset:
    """Cut the splits and standardise them.

    Args:
        split_seed: which samples go where. Never the seed of a run: all runs share their splits.
        val_fraction: share of the training data held out; 0 leaves the val split empty.
        test_fraction: share cut off first, where the set has no test split of its own; without effect
            where it has.
        standardise: bring each channel or feature to mean 0 and standard deviation 1 over the train
            split. Otherwise images are scaled to [0, 1] and tables stay as they are.

    Raises:
        DataError: the raw data do not fit together, or nothing is left to train on.
    """
    raw.check(name)
    order = torch.randperm(len(raw.inputs), generator=seeds.generator("split", split_seed))
    test, rest = order[:0], order
    if raw.test_inputs is None:
        count = round(len(order) * test_fraction)
        test, rest = order[:count], order[count:]
    count = round(len(rest) * val_fraction)
    val, train = rest[:count], rest[count:]
    if not len(train):
        given = f"val_fraction={val_fraction} test_fraction={test_fraction}"
        raise DataError(f"data={name}: {given} leave none of {len(order)} samples to train on")

    parts = {part: raw.inputs[index] for part, index in (("train", train), ("val", val), ("test", test))}
    targets = {part: raw.targets[index] for part, index in (("train", train), ("val", val), ("test", test))}
    if raw.test_inputs is not None and raw.test_targets is not None:
        parts["test"], targets["test"] = raw.test_inputs, raw.test_targets
    centre, width = _statistics(parts["train"], raw.kind) if standardise else (0.0, raw.scale)
    ready = {part: Split(_shift(parts.pop(part), centre, width), targets[part]) for part in tuple(parts)}
    return Dataset(
        name=name,
        **ready,
        task=TASKS[raw.task],
        input_shape=tuple(raw.inputs.shape[1:]),
        outputs=raw.outputs,
        digest=raw.digest,
    )


def _shift(inputs: Tensor, centre: Any, width: Any) -> Tensor:
    if inputs.dtype == torch.uint8:
        return inputs.float().sub_(centre).div_(width).contiguous()
    return inputs.double().sub_(centre).div_(width).float().contiguous()


def _statistics(inputs: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, 1 where it is nought, to broadcast against a sample."""
    if kind == "table":
        values = inputs.double().numpy()
        centre, width = torch.from_numpy(values.mean(0)), torch.from_numpy(values.std(0))
        constant = torch.from_numpy((values == values[0]).all(0))
    else:
        pairs = [_channel_statistics(inputs[:, channel]) for channel in range(inputs.shape[1])]
        centre, width = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2, 1, 1).unbind(1)
        constant = width == 0
    width = width.masked_fill(constant, 1)
    return (centre.float(), width.float()) if inputs.dtype == torch.uint8 else (centre, width)


def _channel_statistics(values: Tensor) -> tuple[float, float]:
    if values.dtype != torch.uint8:
        flat = values.double().numpy()
        return float(flat.mean()), float(flat.std() if flat.min() < flat.max() else 0.0)
    counts = torch.bincount(values.reshape(-1), minlength=256).numpy()
    levels = np.arange(256)
    total = int(counts.sum())
    mean = int(counts @ levels) / total
    return mean, float(np.sqrt(counts @ (levels - mean) ** 2 / total))
