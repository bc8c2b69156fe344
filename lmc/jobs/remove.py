"""``lmc remove``: delete runs, after saying what speaks of them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

from lmc.core.errors import LmcError, RunReferenceError
from lmc.core.tables import frame
from lmc.jobs.listing import run_row
from lmc.jobs.opening.folders import store_of
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.settings import Remove
from lmc.store import records
from lmc.store.experiments import KINDS, Run
from lmc.store.layout import Store


def run(settings: Remove, talk: Talk) -> Outcome:
    """Delete the runs of the references; tables and merged runs made from them stay and are listed.

    Raises:
        OutputError: a living process works on one of them; nothing is deleted.
    """
    import pandas as pd

    if not settings.references:
        raise RunReferenceError("no run is named", "lmc list shows what is stored")
    store = store_of(settings)
    runs: list[Run] = []
    for reference in settings.references:
        for selection in store.resolve(reference):
            if selection.epoch is not None:
                raise RunReferenceError(
                    f"{reference}: a single epoch cannot be removed", "name the run without @"
                )
            runs += selection.runs
    runs = list(dict.fromkeys(runs))
    table = frame("run", map(run_row, runs))
    dependents = _dependents(store, runs)
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
    return Outcome("run", {"run": table}, tuple(each.reference for each in runs), (Summary(title, shown),))


def _dependents(store: Store, runs: list[Run]) -> list[str]:
    """Results, merged runs and started runs whose records name one of the runs."""
    removed = {each.path.resolve() for each in runs}
    named = {each.reference for each in runs} | {each.experiment.name for each in runs}
    found = []
    for folder in store.folders():
        if store.kind_of(folder) in KINDS and all(
            item.resolve() in removed for item in folder.iterdir() if item.name.isdigit()
        ):
            continue
        try:
            record = records.read(folder / records.SETTINGS)
        except LmcError:
            continue
        if _mentioned(record) & named:
            found.append(str(folder.relative_to(store.root)))
    return found


def _mentioned(record: records.Record) -> set[str]:
    """References to runs, without epochs, that a record names."""
    if isinstance(record, records.Train):
        return set() if record.start is None else {record.start.partition("@")[0]}
    if isinstance(record, records.Merge):
        return {source.rpartition("/")[0] for source in record.sources}
    return {key.rpartition("/")[0] for key in record.runs} if isinstance(record, records.Job) else set()
