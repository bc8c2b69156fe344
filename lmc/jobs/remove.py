"""``lmc remove``: delete runs, after saying what was made from them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

from lmc.core.errors import RunReferenceError
from lmc.jobs.opening.folders import store_of
from lmc.jobs.opening.rows import run_table
from lmc.jobs.protocol.commands.reading import Remove
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting.dependents import dependents
from lmc.store.experiments import Run
from lmc.store.layout import Store
from lmc.summaries.runs import removed


def run(settings: Remove, talk: Talk) -> Outcome:
    """Delete the runs of the references; tables and merged runs made from them stay and are listed.

    Raises:
        OutputError: a living process works on one of them; nothing is deleted.
    """
    store = store_of(settings)
    runs = _named(store, settings.references)
    table, references = run_table(runs), tuple(each.reference for each in runs)
    for name in dependents(store, runs):
        talk.say(f"kept, though derived from removed runs: {name}")
    if not settings.dry_run:
        _delete(runs)
    title = "would be removed" if settings.dry_run else "removed"
    return Outcome(
        main="run", tables={"run": table}, references=references, summaries=(removed(title, table),)
    )


def _named(store: Store, references: list[str]) -> list[Run]:
    if not references:
        raise RunReferenceError("no run is named", "lmc list shows what is stored")
    runs: list[Run] = []
    for reference in references:
        for selection in store.resolve(reference):
            if selection.epoch is not None:
                raise RunReferenceError(
                    f"{reference}: a single epoch cannot be removed", "name the run without @"
                )
            runs += selection.runs
    return list(dict.fromkeys(runs))


def _delete(runs: list[Run]) -> None:
    with ExitStack() as locks:
        for each in runs:
            locks.enter_context(each.locked(wait=False))
        for each in runs:
            shutil.rmtree(each.path)
    for experiment in {each.experiment for each in runs}:
        experiment.remove_if_empty()
