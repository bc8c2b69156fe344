"""``lmc list``: what is stored."""

from __future__ import annotations

from lmc.jobs.opening.folders import store_of
from lmc.jobs.opening.rows import run_table
from lmc.jobs.protocol.commands.reading import List
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.summaries import runs as words


def run(settings: List, talk: Talk) -> Outcome:
    """Every stored run, or those of the references."""
    store = store_of(settings)
    if settings.references:
        selections = [found for reference in settings.references for found in store.resolve(reference)]
        runs = [run for selection in selections for run in selection.runs]
    else:
        runs = [run for experiment in store.experiments() for run in experiment.runs()]
    table = run_table(dict.fromkeys(runs))
    if not len(table):
        talk.say(f"nothing is stored under {store.root}; lmc train makes runs")
    names = tuple(dict.fromkeys(table["experiment"]))
    summaries = (words.experiments(f"{store.root}", table),) if len(table) else ()
    return Outcome(main="run", tables={"run": table}, references=names, summaries=summaries)
