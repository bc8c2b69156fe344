"""``lmc list``: what is stored."""

from __future__ import annotations

from pathlib import Path

from lmc.jobs.opening.rows import run_table
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.settings import List, outputs_folder
from lmc.jobs.protocol.talk import Talk
from lmc.store.experiments import experiments
from lmc.store.references import resolve
from lmc.summaries import runs as words


def run(settings: List, talk: Talk) -> Outcome:
    """Every stored run, or those of the references."""
    outputs = Path(outputs_folder(settings.outputs))
    if settings.references:
        selections = [found for reference in settings.references for found in resolve(outputs, reference)]
        runs = [run for selection in selections for run in selection.runs]
    else:
        runs = [run for experiment in experiments(outputs) for run in experiment.runs()]
    table = run_table(dict.fromkeys(runs))
    if not len(table):
        talk.say(f"nothing is stored under {outputs}; lmc train makes runs")
    names = tuple(dict.fromkeys(table["experiment"]))
    summaries = (words.experiments(f"{outputs}", table),) if len(table) else ()
    return Outcome(main="run", tables={"run": table}, references=names, summaries=summaries)
