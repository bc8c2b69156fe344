"""``lmc table``: one kind of table, collected from many jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lmc.core.errors import SettingError, raise_together
from lmc.core.registry import unknown
from lmc.core.tables import TABLES
from lmc.core.tabulation import Tabulated, tabulate
from lmc.jobs.protocol.outcome import Outcome
from lmc.summaries import Summary
from lmc.jobs.protocol.settings import Table, outputs_folder
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting.selection import having, short_names, where_faults
from lmc.store import results
from lmc.store.references import resolve

if TYPE_CHECKING:
    import pandas as pd

MADE_BY = {
    "history": "lmc train",
    "path": "lmc path",
    "barrier": "lmc path",
    "representation": "lmc path kind=representation",
    "gap": "lmc path gap=true",
    "check": "lmc check",
    "match": "lmc match",
    "neuron": "lmc match",
    "layer": "lmc match",
    "cost": "lmc cost",
    "swap": "lmc cost",
    "distance": "lmc cost",
    "anisotropy": "lmc coherence",
    "bound": "lmc coherence",
    "dynamics": "lmc dynamics",
    "prediction": "lmc predict",
    "tau": "lmc match",
    "projection": "lmc merge",
    "claim": "lmc reproduce",
    "measure": "lmc reproduce",
}


def run(settings: Table, talk: Talk) -> Outcome:
    """Rows of the kind that speak of the references' experiments, each fact once."""
    if not settings.references:
        raise SettingError(
            "no table is named", "lmc table KIND [REFERENCE ...]; kinds: " + ", ".join(sorted(MADE_BY))
        )
    kind, *references = settings.references
    if kind not in MADE_BY:
        raise unknown("table", kind, MADE_BY)
    outputs = Path(outputs_folder(settings.outputs))
    names = None
    if references:
        names = [
            run.experiment.name
            for reference in references
            for selection in resolve(outputs, reference)
            for run in selection.runs
        ]
    found = results.collect(outputs, kind, names)
    narrow = _narrowing(kind, settings, found)
    table = narrow(found)
    if table.empty:
        reason = "no stored table" if found.empty else "no row of a stored table"
        talk.say(f"{reason} {kind} speaks of that; {MADE_BY[kind]} makes it")

    def paper() -> Tabulated:
        latest = narrow(results.collect(outputs, kind, names, latest=True))
        return tabulate(kind, latest, short_names([latest]))

    return Outcome(
        main=kind, tables={kind: table}, references=(), summaries=(Summary(kind, table),), paper=paper
    )


def _narrowing(kind: str, settings: Table, found: pd.DataFrame) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """What ``where`` and ``columns`` leave of a table.

    Raises:
        SettingError: a column or quantity that the table does not have; all are named.
    """
    declared = {column.name: column for column in TABLES[kind]}
    wanted = [settings.columns] if isinstance(settings.columns, str) else settings.columns
    faults = where_faults([kind], settings.where)
    long = "quantity" in declared
    if wanted is not None:
        there = (
            sorted(found["quantity"].unique())
            if long
            else [name for name, column in declared.items() if column.role == "value"]
        )
        faults += [unknown("columns", name, there) for name in wanted if name not in there]
    raise_together(faults)

    def narrow(table: pd.DataFrame) -> pd.DataFrame:
        table = having(table, settings.where)
        if wanted is None:
            return table.reset_index(drop=True)
        if long:
            return table[table["quantity"].isin(wanted)].reset_index(drop=True)
        kept = [name for name, column in declared.items() if column.role != "value" or name in wanted]
        return table[kept].reset_index(drop=True)

    return narrow
