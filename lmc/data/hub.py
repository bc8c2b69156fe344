"""Any other set: a folder of parquet or CSV files, or a name on the Hub, and its columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lmc.core.errors import DataError, raise_together
from lmc.data import cache, columns, sources
from lmc.data.dataset import Raw

TaskName = Literal["cross_entropy", "binary_cross_entropy", "squared_error"]


def hub(
    *,
    path: str,
    inputs: str | list[str],
    target: str | list[str],
    task: TaskName | None = None,
    augment: bool = False,
) -> Raw:
    """A data set of the user.

    Args:
        path: a folder of parquet or CSV files (train*, test*; one file will do), or a name on the Hub.
        inputs: a column of images, a column of equally long lists, or numeric columns.
        target: a column, or several for several labels or values.
        task: None infers it. Words and whole numbers are classes (sorted, then numbered from 0),
            fractions are regressed, several columns or a list of 0 and 1 only are labels.
        augment: train on random crops (padded by 4 black pixels) and flips of the images.

    Raises:
        DataError: the data are missing or not of this form.
    """
    features = [inputs] if isinstance(inputs, str) else inputs
    targets = [target] if isinstance(target, str) else target
    source = sources.find(path, ("parquet", "csv"))
    identity = ["hub", features, targets, task, source.identity]
    return replace(cache.cached(identity, lambda: _decode(source, features, targets, task)), augment=augment)


def _decode(source: sources.Source, features: list[str], targets: list[str], task: TaskName | None) -> Raw:
    tables = source.read()
    _require_columns(tables, features, targets)
    train = tables["train"]
    image = len(features) == 1 and columns.is_image(train.schema.field(features[0]).type)
    task = task or _infer(train, targets)
    inputs = {split: _inputs(table, features, split) for split, table in tables.items()}
    if task == "cross_entropy":
        wanted, outputs = _classes(tables, targets)
    else:
        wanted = {split: _values(table, targets, split, task) for split, table in tables.items()}
        outputs = wanted["train"].shape[1]
    return Raw(
        inputs=inputs["train"],
        targets=wanted["train"],
        task=task,
        outputs=outputs,
        kind="image" if image else "table",
        test_inputs=inputs.get("test"),
        test_targets=wanted.get("test"),
        scale=255.0 if image else 1.0,
    )


def _require_columns(tables: dict[str, pa.Table], features: list[str], targets: list[str]) -> None:
    faults = []
    for setting, names in (("data.inputs", features), ("data.target", targets)):
        if not names:
            faults.append(DataError(f"{setting}=[]: no column", "name at least one"))
        for table in tables.values():
            for name in names:
                try:
                    columns.column(table, name, setting)
                except DataError as error:
                    faults.append(error)
    faults += [DataError(f"data.inputs={name}: is also the target") for name in features if name in targets]
    raise_together(faults)


def _inputs(table: pa.Table, names: list[str], split: str) -> Tensor:
    if len(names) > 1:
        return _table(table, names, "data.inputs", split)
    setting = f"data.inputs={names[0]} ({split})"
    values = columns.column(table, names[0], "data.inputs")
    if columns.is_image(values.type):
        return torch.from_numpy(columns.images(values, setting))
    return _table(table, names, "data.inputs", split)


def _table(table: pa.Table, names: list[str], key: str, split: str) -> Tensor:
    """Columns as float32 (N, features): several of numbers, or one of numbers or of lists."""
    found, faults = [], []
    for name in names:
        values = columns.column(table, name, key)
        read = columns.lists if columns.is_list(values.type) and len(names) == 1 else columns.numbers
        try:
            found.append(read(values, f"{key}={name} ({split})"))
        except DataError as error:
            faults.append(error)
    raise_together(faults)
    joined = found[0] if found[0].ndim > 1 else np.stack(found, axis=1)
    return torch.from_numpy(joined.astype(np.float32))


def _infer(table: pa.Table, names: list[str]) -> TaskName:
    kind = columns.column(table, names[0], "data.target").type
    if len(names) == 1 and not columns.is_list(kind):
        regressed = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        return "squared_error" if regressed else "cross_entropy"
    several = _table(table, names, "data.target", "train")
    return "binary_cross_entropy" if bool(((several == 0) | (several == 1)).all()) else "squared_error"


def _values(table: pa.Table, names: list[str], split: str, task: str) -> Tensor:
    values = _table(table, names, "data.target", split)
    if values.ndim != 2:
        shape = tuple(values.shape)
        raise DataError(f"data.target={names[0]} ({split}): nested lists, {shape}", "give lists of numbers")
    if task == "binary_cross_entropy" and (bad := int(((values != 0) & (values != 1)).sum())):
        message = f"data.target={','.join(names)} ({split}): {bad} values are neither 0 nor 1"
        raise DataError(message, "task=squared_error regresses them")
    return values


def _classes(tables: dict[str, pa.Table], names: list[str]) -> tuple[dict[str, Tensor], int]:
    setting = f"data.target={','.join(names)}"
    if len(names) > 1:
        raise DataError(f"{setting}: cross_entropy takes one column", "use task=binary_cross_entropy")
    values = {split: columns.column(table, names[0], "data.target") for split, table in tables.items()}
    known = columns.classes(values["train"], f"{setting} (train)")
    if len(known) < 2:
        raise DataError(f"{setting}: holds one class only, {known[0]}")
    if columns.is_class_label(tables["train"], names[0]):
        for split, found in values.items():
            columns.require_labelled(found, f"{setting} ({split})")
    places = {split: columns.indices(found, known, f"{setting} ({split})") for split, found in values.items()}
    return {split: torch.from_numpy(found) for split, found in places.items()}, len(known)
