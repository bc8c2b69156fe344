"""``lmc remove``: delete runs, after saying what speaks of them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from lmc.core.errors import LmcError, RunReferenceError
from lmc.core.tables import frame
from lmc.jobs.listing import run_row
from lmc.jobs.protocol.outcome import Outcome
from lmc.summaries import Summary
from lmc.jobs.protocol.settings import Remove, outputs_folder
from lmc.jobs.protocol.talk import Talk
from lmc.store import files
from lmc.store.experiments import KINDS, Run
from lmc.store.references import resolve


def run(settings: Remove, talk: Talk) -> Outcome:
    """Delete the runs of the references; tables and merged runs made from them stay and are listed.

    Raises:
        OutputError: a living process works on one of them; nothing is deleted.
    """
    import pandas as pd

    if not settings.references:
        raise RunReferenceError("no run is named", "lmc list shows what is stored")
    outputs = Path(outputs_folder(settings.outputs))
    runs: list[Run] = []
    for reference in settings.references:
        for selection in resolve(outputs, reference):
            if selection.epoch is not None:
                raise RunReferenceError(
                    f"{reference}: a single epoch cannot be removed", "name the run without @"
                )
            runs += selection.runs
    runs = list(dict.fromkeys(runs))
    table = frame("run", map(run_row, runs))
    dependents = _dependents(outputs, runs)
    for name in dependents:
        talk.say(f"made from it, and kept: {name}")
    if not settings.dry_run:
        with ExitStack() as locks:
            for each in runs:
                locks.enter_context(each.locked(wait=False))
            for each in runs:
                shutil.rmtree(each.path)
        for experiment in {each.experiment for each in runs}:
            experiment.remove_if_empty()
    shown = pd.DataFrame(
        {"run": [each.reference for each in runs], "MB": [f"{size:.1f}" for size in table["megabytes"]]}
    )
    title = "would be removed" if settings.dry_run else "removed"
    return Outcome(
        main="run",
        tables={"run": table},
        references=tuple(each.reference for each in runs),
        summaries=(Summary(title, shown),),
    )


def _dependents(outputs: Path, runs: list[Run]) -> list[str]:
    """Results, merged runs and started runs whose settings name one of the runs."""
    removed = {each.path.resolve() for each in runs}
    named = {each.reference for each in runs} | {each.experiment.name for each in runs}
    found = []
    for path in sorted(outputs.glob("*/*/settings.yaml")):
        if path.parent.parent.name in KINDS and all(
            item.resolve() in removed for item in path.parent.iterdir() if item.name.isdigit()
        ):
            continue
        try:
            record = files.read_yaml(path)
        except LmcError:
            continue
        sources = [*record.get("runs", []), *record.get("sources", [])]
        mentioned = {str(source).rpartition("/")[0] for source in sources} | {
            str(record.get("start")).partition("@")[0]
        }
        if mentioned & named:
            found.append(str(path.parent.relative_to(outputs)))
    return found
