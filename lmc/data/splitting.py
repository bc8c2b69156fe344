"""From a builder's raw data to standardised train, val and test splits."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lmc.core import seeds
from lmc.core.errors import DataError, SettingError
from lmc.data.dataset import Dataset, Raw, Split
from lmc.data.rotation import rotated, rotation_to
from lmc.data.tasks import TASKS

Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]

_TEST_FRACTION, _RATIO = 0.2, 0.9


def split(
    name: str,
    raw: Raw,
    *,
    split_seed: int = 0,
    val_fraction: Fraction = 0.1,
    test_fraction: Fraction = _TEST_FRACTION,
    standardise: bool = True,
    coherence: Share | None = None,
    coherence_ratio: Share = _RATIO,
) -> Dataset:
    """Cut the splits, standardise them and turn them.

    Args:
        split_seed: which samples go where. Never the seed of a run: all runs share their splits.
        val_fraction: share of the training data held out; 0 leaves the val split empty.
        test_fraction: share cut off first, where the set has no test split of its own; refused where it has.
        standardise: bring each channel or feature to mean 0 and standard deviation 1 over the train
            split; where the set is about its subspace, each feature to mean 0, and all of them by one
            factor to standard deviation 1. Otherwise images are scaled to [0, 1], others stay as they are.
        coherence: turn the inputs of all splits, features flattened, by one rotation that gives the
            principal subspace of the train split this coherence, from k/d to 1; None leaves them.
        coherence_ratio: the share of variance that the k directions of that subspace explain.

    Raises:
        SettingError: a setting that would have no effect, or a coherence out of reach.
        DataError: the raw data do not fit together, or nothing is left to train on.
    """
    raw.check(name)
    if raw.test_inputs is not None and test_fraction != _TEST_FRACTION:
        message = f"data.test_fraction={test_fraction:g}: {name} has a test split of its own"
        raise SettingError(message, "leave test_fraction out")
    if coherence is None and coherence_ratio != _RATIO:
        message = f"data.coherence_ratio={coherence_ratio:g}: without effect unless data.coherence is given"
        raise SettingError(message)
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
    inputs = {part: _shift(parts.pop(part), centre, width) for part in tuple(parts)}
    if coherence is not None:
        rotation = rotation_to(name, inputs["train"], coherence, coherence_ratio)
        inputs = {part: rotated(inputs.pop(part), rotation) for part in tuple(inputs)}
    return Dataset(
        name=name,
        **{part: Split(inputs[part], targets[part]) for part in inputs},
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
    elif kind == "subspace":
        values = inputs.double().numpy()
        centre, width = torch.from_numpy(values.mean(0)), torch.tensor(values.var(0).mean()).sqrt()
        constant = torch.tensor(bool((values == values[0]).all()))
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
