"""``lmc list``: what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmc.core.tables import frame
from lmc.jobs.protocol.outcome import Outcome
from lmc.summaries import Summary
from lmc.jobs.protocol.settings import List, outputs_folder
from lmc.jobs.protocol.talk import Talk
from lmc.store.experiments import Run, experiments
from lmc.store.references import resolve


def run(settings: List, talk: Talk) -> Outcome:
    """Every stored run, or those of the references."""
    import pandas as pd

    outputs = Path(outputs_folder(settings.outputs))
    if settings.references:
        runs = [
            run
            for reference in settings.references
            for selection in resolve(outputs, reference)
            for run in selection.runs
        ]
    else:
        runs = [run for experiment in experiments(outputs) for run in experiment.runs()]
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
        talk.say(f"nothing is stored under {outputs}; lmc train makes runs")
    summary = Summary(f"{outputs}", pd.DataFrame(rows))
    names = tuple(dict.fromkeys(table["experiment"]))
    return Outcome(main="run", tables={"run": table}, references=names, summaries=(summary,) if rows else ())


def run_row(run: Run) -> dict[str, Any]:
    """One run as a row of the table ``run``."""
    row: dict[str, Any] = {
        "experiment": run.experiment.name,
        "seed": run.seed,
        "epoch": 0,
        "status": run.status(),
        "seconds": float(run.info().get("seconds", float("nan"))),
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
