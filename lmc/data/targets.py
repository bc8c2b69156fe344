"""What a set's target columns ask for: classes, labels or values, and what is said about the choice."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from lmc.core.errors import DataError, raise_together
from lmc.data import columns, labels
from lmc.data.missing import require_labels, require_values

TaskName = Literal["cross_entropy", "binary_cross_entropy", "squared_error"]
Say = Callable[[str], None]
_KEY = "data.target"
_MANY = 20
"""More whole numbers than this may well be a quantity."""
_WRITTEN = re.compile(r"[+-]?[\d.,' ]*\d%?")


def table(found: pa.Table, names: list[str], key: str, split: str) -> np.ndarray:
    """Columns as float64 (N, features): several of numbers, or one of numbers or of lists."""
    read, faults = [], []
    for name in names:
        values, setting = columns.column(found, name, key), f"{key}={name} ({split})"
        reader = columns.lists if columns.is_list(values.type) and len(names) == 1 else columns.numbers
        try:
            require_values(values, setting)
            read.append(reader(values, setting))
        except DataError as error:
            faults.append(error)
    raise_together(faults)
    return read[0] if read[0].ndim > 1 else np.stack(read, axis=1)


def class_column(train: pa.Table, names: list[str], task: TaskName | None) -> str | None:
    """The column that holds classes, where one does."""
    return names[0] if len(names) == 1 and (task or _by_type(train, names)) == "cross_entropy" else None


def _by_type(train: pa.Table, names: list[str]) -> TaskName | None:
    """The task of a single column; None for several, whose values decide."""
    kind = columns.column(train, names[0], _KEY).type
    if len(names) > 1 or columns.is_list(kind):
        return None
    return "squared_error" if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else "cross_entropy"


def infer(train: pa.Table, names: list[str]) -> TaskName:
    """The task that the target's type and values ask for.

    Raises:
        DataError: words that spell numbers could be either.
    """
    task = _by_type(train, names)
    if task is None:
        several = table(train, names, _KEY, "train")
        return "binary_cross_entropy" if ((several == 0) | (several == 1)).all() else "squared_error"
    values = columns.column(train, names[0], _KEY)
    if columns.is_word(values.type):
        written = [text for text in pc.unique(columns.trimmed(values)).to_pylist() if text]
        if all(map(_WRITTEN.fullmatch, written)) and not all(text.isdigit() for text in written):
            strange = next(text for text in written if not text.isdigit())
            raise DataError(
                f"{_KEY}={names[0]}: words that look like numbers, such as {strange}",
                "write them as numbers to regress them, or data.task=cross_entropy makes them classes",
            )
    return task


def regressed(found: pa.Table, names: list[str], split: str, task: TaskName) -> Tensor:
    """Values or labels of 0 and 1, float32 (N, outputs)."""
    values = torch.from_numpy(table(found, names, _KEY, split).astype(np.float32))
    if values.ndim != 2:
        shape = tuple(values.shape)
        raise DataError(f"{_KEY}={names[0]} ({split}): nested lists, {shape}", "give lists of numbers")
    if task == "binary_cross_entropy" and (bad := int(((values != 0) & (values != 1)).sum())):
        message = f"{_KEY}={','.join(names)} ({split}): {bad} values are neither 0 nor 1"
        raise DataError(message, "task=squared_error regresses them")
    return values


def classified(
    tables: dict[str, pa.Table], names: list[str], keep: bool, say: Say, doubt: Say
) -> tuple[dict[str, Tensor], int]:
    """The place of each sample's class among those of the train split, int64 (N,), and how many there are."""
    setting = f"{_KEY}={','.join(names)}"
    if len(names) > 1:
        raise DataError(f"{setting}: cross_entropy takes one column", "use task=binary_cross_entropy")
    found = {}
    for split, each in tables.items():
        values = columns.column(each, names[0], _KEY)
        where = f"{setting} ({split})"
        require_labels(values, columns.is_class_label(each, names[0]), keep, where)
        found[split] = labels.tidy(values, where)
        if columns.is_word(values.type) and len(pc.unique(values)) > len(pc.unique(found[split])):
            say(f"{where}: spaces around labels are no part of them")
    known = labels.classes(found["train"])
    if len(known) < 2:
        raise DataError(f"{setting}: holds one class only, {known[0]}")
    if columns.is_word(known.type) and len(pc.unique(pc.utf8_lower(known))) < len(known):
        doubt(f"{setting}: some classes differ in capitals only: {_some(known)}")
    places = {split: labels.indices(each, known, f"{setting} ({split})") for split, each in found.items()}
    return {split: torch.from_numpy(each) for split, each in places.items()}, len(known)


def described(
    train: pa.Table, names: list[str], task: TaskName, wanted: Tensor, asked: bool
) -> tuple[list[str], list[str]]:
    """What was made of the target, for the person to agree with, and what looks like a mistake.

    Args:
        wanted: the train split's targets.
        asked: whether the person named the task.
    """
    key = f"{_KEY}={','.join(names)}"
    if task == "squared_error":
        return _of_values(train, names, wanted, key, asked)
    if task != "cross_entropy":
        return ([] if asked else [f"{key}: {wanted.shape[1]} labels of 0 and 1"]), []
    values = columns.column(train, names[0], _KEY)
    known = labels.classes(labels.tidy(values, key))
    said = f"{key}: {len(known)} classes, {_some(known)}"
    quantity = pa.types.is_integer(values.type) and not columns.is_class_label(train, names[0])
    if asked or not quantity:
        return ([] if asked else [said]), []
    said = f"{said}; data.task=squared_error regresses the numbers"
    return ([], [said]) if len(known) > _MANY else ([said], [])


def _of_values(
    train: pa.Table, names: list[str], wanted: Tensor, key: str, asked: bool
) -> tuple[list[str], list[str]]:
    values = wanted.double()
    said = [] if asked else [f"{key}: regressed"]
    doubts = []
    size = float(values.square().mean().sqrt())
    if not 0.1 < size < 10:
        mean, deviation = float(values.mean()), float(values.std(unbiased=False))
        doubts.append(
            f"{key}: regressed as it is, mean {mean:.3g} and standard deviation {deviation:.3g}; "
            "data.standardise_target=true brings it to 0 and 1"
        )
    distinct = len(values.unique())
    if not asked and len(names) == 1 and bool((values % 1 == 0).all()) and distinct <= _MANY:
        doubts.append(
            f"{key}: regressed, though its values are {distinct} whole numbers; data.task=cross_entropy "
            "makes them classes"
        )
    return said, doubts


def _some(known: pa.Array) -> str:
    """The first classes and the last."""
    told = [str(each) for each in known.to_pylist()]
    return ", ".join(told if len(told) <= 6 else [*told[:4], "...", told[-1]])
