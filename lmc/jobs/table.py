"""``lmc table``: one kind of table, collected from many jobs."""

from __future__ import annotations

from pathlib import Path

from lmc.core.errors import SettingError
from lmc.core.registry import unknown
from lmc.jobs.outcome import Outcome, Summary, Talk
from lmc.jobs.settings import Table, outputs_folder
from lmc.store import results
from lmc.store.references import resolve

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
    table = results.collect(outputs, kind, names)
    if table.empty:
        talk.say(f"no stored table {kind} speaks of that; {MADE_BY[kind]} makes it")
    return Outcome(kind, {kind: table}, (), (Summary(kind, table),))
