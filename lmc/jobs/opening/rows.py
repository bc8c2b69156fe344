"""Stored runs as rows of the table ``run``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lmc.core.schema import concatenate, frame
from lmc.store.experiments import Run

if TYPE_CHECKING:
    import pandas as pd


def run_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per run."""
    return frame("run", map(run_row, runs))


def histories(runs: Iterable[Run]) -> pd.DataFrame:
    """The table ``history`` of all runs."""
    return concatenate("history", [run.history() for run in runs])


def run_row(run: Run) -> dict[str, Any]:
    """What is stored of a run, and its last losses."""
    seconds = run.info().seconds
    row: dict[str, Any] = {
        "experiment": run.experiment.name,
        "seed": run.seed,
        "epoch": 0,
        "status": run.status(),
        "seconds": float("nan") if seconds is None else seconds,
        "megabytes": run.megabytes(),
        "stored": " ".join(map(str, run.epochs())),
    }
    if (run.path / "history.parquet").is_file():
        history = run.history()
        if len(history):
            row["epoch"] = int(history["epoch"].max())
        for split in ("train", "val", "test"):
            part = history[history["split"] == split]
            if len(part):
                row[f"{split}_loss"] = float(part["loss"].iloc[-1])
                row[f"{split}_accuracy"] = float(part["accuracy"].iloc[-1])
    return row
