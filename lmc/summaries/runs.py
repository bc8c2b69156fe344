"""Stored and merged runs in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmc.summaries.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

_SPLITS = ("train", "val", "test")


def runs(title: str, table: pd.DataFrame, files: Sequence[str] = ()) -> Summary:
    """The table ``run`` of one experiment: one line per run, with its last losses.

    Args:
        files: the file that each run was imported from, if they were.
    """
    import pandas as pd

    shown = pd.DataFrame(
        {"run": table["seed"].astype(str), "status": table["status"], "epoch": table["epoch"].astype(str)}
    )
    if files:
        shown.insert(1, "file", list(files))
    for split in _SPLITS:
        shown[f"{split} loss"] = [f"{value:.4f}" for value in table[f"{split}_loss"]]
        if table[f"{split}_accuracy"].notna().any():
            shown[f"{split} accuracy"] = [f"{value:.2%}" for value in table[f"{split}_accuracy"]]
    if table["seconds"].notna().any():
        shown["seconds"] = [f"{value:.1f}" for value in table["seconds"]]
    return Summary(title, shown)


def experiments(title: str, table: pd.DataFrame) -> Summary:
    """The table ``run`` of many experiments: one line per experiment."""
    rows = [
        {
            "experiment": name,
            "runs": ", ".join(map(str, part["seed"])),
            "status": statuses(part),
            "epochs": part["stored"].iloc[0],
            "test loss": _at_the_end(part),
            "MB": f"{part['megabytes'].sum():.1f}",
        }
        for name, part in table.groupby("experiment", sort=False)
    ]
    return Summary.of(title, rows)


def _at_the_end(part: pd.DataFrame) -> str:
    """The mean test loss of the runs that reached the last epoch, and how many these are if not all."""
    last = part[part["epoch"] == part["epoch"].max()]["test_loss"].dropna()
    mean = f"{last.mean():.4f}" if len(last) else "-"
    return mean if len(last) in (0, len(part)) else f"{mean} ({len(last)} of {len(part)} runs)"


def statuses(part: pd.DataFrame) -> str:
    """How many runs are done, interrupted, ..."""
    return ", ".join(f"{count} {status}" for status, count in part["status"].value_counts().items())


def projection(table: pd.DataFrame) -> Summary:
    """What it costs a merged network to stay in the class: a line without, a line with."""
    rows = []
    for projected, part in table.groupby("projected"):
        row: dict[str, Any] = {"in the class of the runs": "yes" if projected else "no"}
        for split, loss, accuracy in zip(part["split"], part["loss"], part["accuracy"], strict=True):
            row[f"{split} loss"] = f"{loss:.4f}"
            if not math.isnan(accuracy):
                row[f"{split} accuracy"] = f"{accuracy:.2%}"
        rows.append(row)
    return Summary.of("the price of the projection", rows)


def removed(title: str, table: pd.DataFrame) -> Summary:
    """The table ``run`` of runs that are deleted: what that frees."""
    rows = [
        {"run": f"{name}/{seed}", "MB": f"{size:.1f}"}
        for name, seed, size in zip(table["experiment"], table["seed"], table["megabytes"], strict=True)
    ]
    return Summary.of(title, rows)
