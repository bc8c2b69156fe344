"""From a builder's raw data to standardised train, val and test splits."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lmc.core import seeds
from lmc.core.errors import DataError, LmcError, SettingError, raise_together
from lmc.data.augmentation import CropAndFlip
from lmc.data.dataset import PARTS, Dataset, Graph, Raw, Split
from lmc.data.rotation import rotated, rotation_to
from lmc.data.tasks import NO_CLASS, TASKS

Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]

_USUAL = {"val_fraction": 0.1, "test_fraction": 0.2, "coherence_ratio": 0.9}


def split(
    name: str,
    raw: Raw,
    *,
    split_seed: int = 0,
    val_fraction: Fraction = _USUAL["val_fraction"],
    test_fraction: Fraction = _USUAL["test_fraction"],
    standardise: bool = True,
    coherence: Share | None = None,
    coherence_ratio: Share = _USUAL["coherence_ratio"],
) -> Dataset:
    """Cut the splits, standardise them, and rotate them to a coherence.

    Args:
        split_seed: which samples go where. Never the seed of a run: all runs share their splits. Of a
            graph it is the nodes that are split: every part sees all of them, and the classes of its own.
        val_fraction: share of the training data held out; 0 leaves the val split empty.
        test_fraction: share cut off first, where the set has no test split of its own; refused where it has.
        standardise: bring each channel or feature to mean 0 and standard deviation 1 over the train
            split; where the set is about its subspace, each feature to mean 0, and all of them by one
            factor to standard deviation 1; of a graph each feature over all nodes. Otherwise images are
            scaled to [0, 1], others stay as they are. Targets are not touched (``Raw.standardise_target``).
        coherence: turn the inputs of all splits, features flattened, by one rotation that gives the
            principal subspace of the train split this coherence, from k/d to 1; None leaves them.
        coherence_ratio: the share of variance that the k directions of that subspace explain.

    Raises:
        SettingError: a setting that would have no effect, or a coherence out of reach.
        DataError: the raw data do not fit together, or nothing is left to train on.
    """
    raw.check(name)
    own = {} if raw.parts is None else {"val_fraction": val_fraction, "test_fraction": test_fraction}
    if raw.test_inputs is not None:
        own = {"test_fraction": test_fraction}
    _refuse_without_effect(name, raw, own, coherence, coherence_ratio)
    if raw.edges is not None:
        parts, targets = _nodes(name, raw, split_seed, val_fraction, test_fraction)
    else:
        index = _indices(name, len(raw.inputs), split_seed, val_fraction, 0 if own else test_fraction)
        parts = {part: raw.inputs[chosen] for part, chosen in index.items()}
        targets = {part: raw.targets[chosen] for part, chosen in index.items()}
        if raw.test_inputs is not None and raw.test_targets is not None:
            parts["test"], targets["test"] = raw.test_inputs, raw.test_targets
    if raw.standardise_target:
        scales = _statistics(targets["train"], "table")
        targets = {part: _shift(found, *scales) for part, found in targets.items()}
    centre, width = _statistics(parts["train"], raw.kind) if standardise else (0.0, raw.scale)
    augment = CropAndFlip(_shift(raw.inputs[0, :, :1, :1] * 0, centre, width)) if raw.augment else None
    inputs = {part: _shift(parts.pop(part), centre, width) for part in tuple(parts)}
    if coherence is not None:
        # The rows of a graph are its nodes.
        rows = {
            part: found.flatten(0, 1) if raw.edges is not None else found for part, found in inputs.items()
        }
        rotation = rotation_to(name, rows["train"], coherence, coherence_ratio)
        inputs = {part: rotated(rows.pop(part), rotation).view_as(inputs.pop(part)) for part in tuple(rows)}
    return Dataset(
        name=name,
        **{part: Split(inputs[part], targets[part]) for part in inputs},
        task=TASKS[raw.task],
        input_shape=tuple(raw.inputs.shape[1:]),
        outputs=raw.outputs,
        digest=raw.digest,
        graph=None if raw.edges is None else Graph(raw.edges, raw.inputs.shape[1]),
        augment=augment,
        notes=raw.notes,
        doubts=raw.doubts,
    )


def _refuse_without_effect(
    name: str, raw: Raw, own: dict[str, float], coherence: float | None, coherence_ratio: float
) -> None:
    faults: list[LmcError] = []
    for key, value in own.items():
        if value != _USUAL[key]:
            part = key.removesuffix("_fraction")
            message = f"data.{key}={value:g}: {name} has a {part} split of its own"
            faults.append(SettingError(message, f"leave {key} out"))
    if coherence is None and coherence_ratio != _USUAL["coherence_ratio"]:
        message = f"data.coherence_ratio={coherence_ratio:g}: without effect unless data.coherence is given"
        faults.append(SettingError(message))
    if coherence is not None and raw.augment:
        message = f"data.coherence={coherence:g}: turned images cannot be cropped and flipped"
        faults.append(SettingError(message, "data.augment=false"))
    raise_together(faults)


def _indices(
    name: str, samples: int, split_seed: int, val_fraction: float, test_fraction: float
) -> dict[str, Tensor]:
    """Which of the samples, or of a graph's nodes, are in each part."""
    order = torch.randperm(samples, generator=seeds.generator("split", split_seed))
    count = round(samples * test_fraction)
    test, rest = order[:count], order[count:]
    count = round(len(rest) * val_fraction)
    if count == len(rest):
        given = f"val_fraction={val_fraction} test_fraction={test_fraction}"
        raise DataError(f"data={name}: {given} leave none of {samples} samples to train on")
    return {"train": rest[count:], "val": rest[:count], "test": test}


def _nodes(
    name: str, raw: Raw, split_seed: int, val_fraction: float, test_fraction: float
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The whole graph for every part, and as its targets the classes of the part's nodes alone."""
    known = (raw.targets[0] != NO_CLASS).nonzero().flatten()
    if raw.parts is None:
        chosen = _indices(name, len(known), split_seed, val_fraction, test_fraction)
        nodes = {part: known[index] for part, index in chosen.items()}
    else:
        nodes = {part: known[raw.parts[known] == number] for number, part in enumerate(PARTS)}
        if not len(nodes["train"]):
            raise DataError(f"data={name}: no node of the train split has a class")
    parts, targets = {}, {}
    for part, index in nodes.items():
        labels = torch.full_like(raw.targets, NO_CLASS)
        labels[0, index] = raw.targets[0, index]
        here = slice(0, 1 if len(index) else 0)
        parts[part], targets[part] = raw.inputs[here], labels[here]
    return parts, targets


def _shift(inputs: Tensor, centre: Any, width: Any) -> Tensor:
    if inputs.dtype == torch.uint8:
        return inputs.float().sub_(centre).div_(width).contiguous()
    return inputs.double().sub_(centre).div_(width).float().contiguous()


def _statistics(inputs: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, 1 where it is zero, to broadcast against a sample."""
    if kind == "graph":
        return _statistics(inputs.flatten(0, 1), "table")
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
