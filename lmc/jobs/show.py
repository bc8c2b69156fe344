"""``lmc show``: everything stored about runs, as keys and values."""

from __future__ import annotations

import json
from typing import Any

from lmc.core.errors import RunReferenceError
from lmc.core.schema import frame
from lmc.jobs.opening.folders import store_of
from lmc.jobs.opening.rows import run_row
from lmc.jobs.protocol.commands.reading import Show
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.store.references import Selection, flatten
from lmc.summaries import Summary


def run(settings: Show, talk: Talk) -> Outcome:
    """Settings of an experiment, and of a single run its seeds, state and last losses too."""
    if not settings.references:
        raise RunReferenceError("no run is named", "lmc list shows what is stored")
    rows: list[dict[str, Any]] = []
    summaries: list[Summary] = []
    for reference in settings.references:
        for selection in store_of(settings).resolve(reference):
            found = _describe(selection)
            name = selection.runs[0].experiment.name
            rows += [{"experiment": name, **row} for row in found]
            title = name if selection.whole else selection.runs[0].reference
            summaries.append(Summary.of(title, found))
    table = frame("setting", rows)
    return Outcome(
        main="setting",
        tables={"setting": table},
        references=tuple(settings.references),
        summaries=tuple(summaries),
    )


def _describe(selection: Selection) -> list[dict[str, str]]:
    first = selection.runs[0]
    facts = dict(flatten(first.experiment.settings()))
    facts["folder"] = first.experiment.path
    if selection.whole:
        facts["runs"] = " ".join(f"{run.seed} ({run.status()})" for run in selection.runs)
        facts["megabytes"] = f"{sum(run.megabytes() for run in selection.runs):.1f}"
    else:
        facts["folder"] = first.path
        facts.update(flatten(first.info().content()))
        facts.update(
            {
                key: value
                for key, value in run_row(first).items()
                if key not in ("experiment", "seed", "stored")
            }
        )
        facts["stored epochs"] = " ".join(map(str, first.epochs()))
    return [{"key": key, "value": _text(value)} for key, value in facts.items()]


def _text(value: Any) -> str:
    """A value as it is typed on the command line."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
