"""``lmc report``: what is stored about some experiments, as one page."""

from __future__ import annotations

from pathlib import Path

from lmc.core.errors import RunReferenceError
from lmc.figures.report import write
from lmc.jobs.opening.folders import store_of
from lmc.jobs.protocol.commands.reading import Report
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting.page import StoredResults
from lmc.jobs.reporting.selection import Chosen
from lmc.store import files
from lmc.summaries import Summary


def run(settings: Report, talk: Talk) -> Outcome:
    """Read everything stored about the references' runs, or about all, and write one HTML file."""
    file = Path(settings.out).expanduser()
    files.check_file(file, (".html", ".htm"))
    outputs = store_of(settings).root
    chosen = Chosen.of(outputs, settings.references)
    if not chosen.epochs:
        raise RunReferenceError(f"nothing is stored under {outputs}", "lmc train makes runs")
    stored = StoredResults(chosen, bool(settings.references), talk)
    files.write_text(file, write(stored.page(settings.references)))
    table = stored.runs
    note = f"{table['experiment'].nunique()} experiments, {len(table)} runs"
    summary = Summary(f"{file}", stored.summary(), (note,))
    return Outcome(
        main="run",
        tables={"run": table},
        references=(str(file),),
        summaries=(summary,),
        files=(str(file),),
    )
