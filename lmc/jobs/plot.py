"""``lmc plot``: a figure of stored tables, of one experiment or of many together."""

from __future__ import annotations

from pathlib import Path

from lmc.core.errors import RunReferenceError, SettingError, raise_together
from lmc.core.names import unknown
from lmc.core.schema import TABLES, frame
from lmc.figures import FIGURES
from lmc.figures.writing import SUFFIXES, save
from lmc.jobs.opening.folders import store_of
from lmc.jobs.protocol.commands.reading import Plot
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting.selection import Chosen, drawn, drawn_rows, for_figure, where_faults
from lmc.store.files import check_file
from lmc.summaries import Summary


def run(settings: Plot, talk: Talk) -> Outcome:
    """Draw the tables of a kind into one file; nothing is computed again, and nothing else is written."""
    if not settings.references:
        listed = ", ".join(sorted(FIGURES))
        raise SettingError("no kind of figure is named", f"lmc plot KIND [REFERENCE ...]; kinds: {listed}")
    name, *references = settings.references
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES)
    kind = FIGURES[name]
    raise_together(where_faults(kind.tables, settings.where))
    file = Path(settings.out or f"{name}.png").expanduser()
    check_file(file, SUFFIXES)
    tables, notes = for_figure(Chosen.of(store_of(settings).root, references), kind, settings.where)
    if tables[0].empty:
        what, main = "these runs" if references else "any run", kind.tables[0]
        raise RunReferenceError(f"no stored {main} table covers {what}", f"run {TABLES[main].made_by}")
    for note in notes:
        talk.say(note)
    figure = drawn(kind, tables)
    assert figure is not None
    save(figure, file)
    rows = [{"figure": name, "file": str(file), **row} for row in drawn_rows(tables[0])]
    title = f"{file}: {kind.title[0].lower()}{kind.title[1:]}"
    shown = Summary.of(title, [{key: row[key] for key in ("experiment", "rows")} for row in rows])
    return Outcome(
        main="figure",
        tables={"figure": frame("figure", rows)},
        references=(str(file),),
        summaries=(shown,),
        files=(str(file),),
    )
