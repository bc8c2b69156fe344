"""``lmc list``: what is stored."""

from __future__ import annotations

from typing import Any

from lmc.core.tables import frame
from lmc.jobs.opening.folders import store_of
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.settings import List
from lmc.store.experiments import Run


def run(settings: List, talk: Talk) -> Outcome:
    """Every stored run, or those of the references."""
    import pandas as pd

    store = store_of(settings)
    if settings.references:
        runs = [
            run
            for reference in settings.references
            for selection in store.resolve(reference)
            for run in selection.runs
        ]
    else:
        runs = [run for experiment in store.experiments() for run in experiment.runs()]
    runs = list(dict.fromkeys(runs))
    table = frame("run", map(run_row, runs))
    rows = []
    for name, part in table.groupby("experiment", sort=False):
        rows.append(
            {
                "experiment": name,
                "runs": ", ".join(map(str, part["seed"])),
                "status": ", ".join(
                    f"{count} {status}" for status, count in part["status"].value_counts().items()
                ),
                "epochs": part["stored"].iloc[0],
                "test loss": f"{part['test_loss'].mean():.4f}",
                "MB": f"{part['megabytes'].sum():.1f}",
            }
        )
    if not rows:
        talk.say(f"nothing is stored under {store.root}; lmc train makes runs")
    summary = Summary(f"{store.root}", pd.DataFrame(rows))
    names = tuple(dict.fromkeys(table["experiment"]))
    return Outcome("run", {"run": table}, names, (summary,) if rows else ())


def run_row(run: Run) -> dict[str, Any]:
    """One run as a row of the table ``run``."""
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
