"""``lmc plot``: a figure of stored tables, of one experiment or of many together."""

from __future__ import annotations

from pathlib import Path

from lmc.core.errors import RunReferenceError, SettingError, raise_together
from lmc.core.registry import unknown
from lmc.core.tables import frame
from lmc.figures import FIGURES
from lmc.figures.writing import SUFFIXES, save
from lmc.jobs.protocol.outcome import Outcome
from lmc.summaries import Summary
from lmc.jobs.protocol.settings import Plot, outputs_folder
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting.selection import Chosen, drawn, for_figure, where_faults
from lmc.jobs.table import MADE_BY
from lmc.store.files import check_file


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
    chosen = Chosen.of(Path(outputs_folder(settings.outputs)), references)
    tables = for_figure(chosen, kind, settings.where)
    main = kind.tables[0]
    if tables[0].empty:
        what = "these runs" if references else "any run"
        raise RunReferenceError(f"no stored table {main} speaks of {what}", f"{MADE_BY[main]} makes it")
    figure = drawn(kind, tables)
    assert figure is not None
    save(figure, file)
    sides = [column for column in ("experiment", "experiment_a", "experiment_b") if column in tables[0]]
    counts = tables[0].groupby(sides, sort=False).size()
    made = frame(
        "figure",
        [
            {
                "figure": name,
                "experiment": " and ".join(dict.fromkeys(names)),
                "rows": count,
                "file": str(file),
            }
            for names, count in zip(counts.index.to_frame().to_numpy(), counts, strict=True)
        ],
    )
    summary = Summary(f"{file}: {kind.title[0].lower()}{kind.title[1:]}", made[["experiment", "rows"]])
    return Outcome(
        main="figure",
        tables={"figure": made},
        references=(str(file),),
        summaries=(summary,),
        files=(str(file),),
    )
