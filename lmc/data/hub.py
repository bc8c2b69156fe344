"""Any other set: a folder of parquet or CSV files, or a name on the Hub, and its columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lmc.core.errors import DataError, SettingError, raise_together
from lmc.data import cache, columns, pictures, sources
from lmc.data.dataset import Raw
from lmc.data.missing import Missing, complete
from lmc.data.targets import TaskName, class_column, classified, described, infer, regressed
from lmc.data.targets import table as numeric


def hub(
    *,
    path: str,
    inputs: str | list[str],
    target: str | list[str],
    task: TaskName | None = None,
    missing: Missing = "refuse",
    standardise_target: bool = False,
    augment: bool = False,
) -> Raw:
    """A data set of the user.

    Args:
        path: a folder of parquet or CSV files (train*, test*; one file will do), or a name on the Hub.
        inputs: a column of images, a column of equally long lists, or numeric columns.
        target: a column, or several for several labels or values.
        task: None infers it. Words and whole numbers are classes (sorted, then numbered from 0),
            fractions are regressed, several columns or a list of 0 and 1 only are labels.
        missing: rows that lack an input or a target are refused, or left out (``drop``). Words that stand for
            no value (NA, ?, nan, None), and a class -1 beside 0, 1, 2 and so on, lack theirs, unless ``keep``
            makes them classes like others.
        standardise_target: bring regressed values to mean 0 and standard deviation 1 over the train split;
            losses are then shares of its variance. Otherwise values stay as they are, and losses are in their
            unit squared.
        augment: train on random crops (padded by 4 black pixels) and flips of the images.

    Raises:
        DataError: the data are missing or not of this form.
    """
    features, targets = _names("data.inputs", inputs), _names("data.target", target)
    source = sources.find(path, sources.TABLES)
    identity = ["hub", features, targets, task, missing, source.identity]
    raw = cache.cached(identity, lambda: _Reading(features, targets, missing).decode(source, task))
    doubts = raw.doubts
    if standardise_target:
        doubts = tuple(text for text in doubts if "standardise_target" not in text)
    return replace(raw, augment=augment, standardise_target=standardise_target, doubts=doubts)


def _names(setting: str, given: str | list[str]) -> list[str]:
    """Names of columns as a list."""
    if isinstance(given, str) and given.startswith("[") and given.endswith("]"):
        listed = ",".join(f'"{name.strip()}"' for name in given[1:-1].split(","))
        raise SettingError(f"{setting}={given}: is no list", f"quote the names: '{setting}=[{listed}]'")
    return [given] if isinstance(given, str) else given


@dataclass(frozen=True)
class _Reading:
    """The columns that are asked for, and what is found out about them."""

    features: list[str]
    targets: list[str]
    missing: Missing
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def decode(self, source: sources.Source, task: TaskName | None) -> Raw:
        """The columns as tensors."""
        tables = source.read(self.notes.append)
        _require_columns(tables, self.features, self.targets)
        if self.missing == "drop":
            tables = self._complete(tables, task)
        chosen = task or infer(tables["train"], self.targets)
        inputs, image = self._inputs(tables)
        keep = self.missing == "keep"
        if chosen == "cross_entropy":
            wanted, outputs = classified(tables, self.targets, keep, self.notes.append, self.doubts.append)
        else:
            wanted = {split: regressed(table, self.targets, split, chosen) for split, table in tables.items()}
            outputs = wanted["train"].shape[1]
        note, doubt = described(tables["train"], self.targets, chosen, wanted["train"], task is not None)
        return Raw(
            inputs=inputs["train"],
            targets=wanted["train"],
            task=chosen,
            outputs=outputs,
            kind="image" if image else "table",
            test_inputs=inputs.get("test"),
            test_targets=wanted.get("test"),
            scale=255.0 if image else 1.0,
            notes=(*self.notes, *note),
            doubts=(*self.doubts, *doubt),
        )

    def _complete(self, tables: dict[str, pa.Table], task: TaskName | None) -> dict[str, pa.Table]:
        """The tables without the rows that lack a value, which is said."""
        label = class_column(tables["train"], self.targets, task)
        found = {
            split: complete(table, [*self.features, *self.targets], label) for split, table in tables.items()
        }
        for split, table in found.items():
            if lost := len(tables[split]) - len(table):
                self.notes.append(
                    f"data.missing=drop: {lost} of {len(tables[split])} rows of {split} left out"
                )
        return found

    def _inputs(self, tables: dict[str, pa.Table]) -> tuple[dict[str, Tensor], bool]:
        """The inputs of every split, and whether they are images."""
        names, key = self.features, "data.inputs"
        found = {split: columns.column(table, names[0], key) for split, table in tables.items()}
        if len(names) > 1 or not columns.is_image(found["train"].type):
            return {split: _table(table, names, split) for split, table in tables.items()}, False
        for split, values in found.items():
            if not columns.is_image(values.type):
                kind = columns.called(values.type)
                raise DataError(f"{key}={names[0]} ({split}): the column holds {kind}, not images")
        pixels = pictures.images(found, f"{key}={names[0]}", self.doubts.append)
        return {split: torch.from_numpy(each) for split, each in pixels.items()}, True


def _table(table: pa.Table, names: list[str], split: str) -> Tensor:
    """Inputs that are numbers, float32 (N, features)."""
    values = numeric(table, names, "data.inputs", split)
    rounded = values.astype(np.float32)
    coarse = np.abs(rounded - values).max(0) > 1e-3 * values.std(0)
    if bad := int(coarse.sum()):
        which = ", ".join(name for name, one in zip(names, coarse, strict=False) if one.any())
        hint = "subtract a constant from them first"
        raise DataError(
            f"data.inputs={which} ({split}): {bad} features vary less than float32 resolves", hint
        )
    return torch.from_numpy(rounded)


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
