"""What is stored that was made from runs."""

from __future__ import annotations

from collections.abc import Sequence

from lmc.core.errors import LmcError
from lmc.store import records
from lmc.store.experiments import KINDS, Run
from lmc.store.layout import Store


def dependents(store: Store, runs: Sequence[Run]) -> list[str]:
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
