"""``lmc table``: one kind of table, collected from many jobs."""

from __future__ import annotations

from lmc.core.errors import SettingError
from lmc.core.measurements import settled, telling
from lmc.core.names import unknown
from lmc.core.schema import STORED
from lmc.core.tabulation import Tabulated, tabulate
from lmc.jobs.opening.folders import store_of
from lmc.jobs.protocol.commands.reading import Table
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting.narrowing import narrowing
from lmc.jobs.reporting.selection import Chosen, short_names
from lmc.store import results
from lmc.summaries import Summary


def run(settings: Table, talk: Talk) -> Outcome:
    """Rows of the kind that speak of the references' experiments, each fact once."""
    if not settings.references:
        raise SettingError(
            "no table is named", "lmc table KIND [REFERENCE ...]; kinds: " + ", ".join(sorted(STORED))
        )
    kind, *references = settings.references
    if kind not in STORED:
        raise unknown("table", kind, STORED)
    chosen = Chosen.of(store_of(settings).root, references)
    found = chosen.rows(kind, course=True) if references else results.collect(chosen.outputs, kind)
    narrow = narrowing(kind, settings.columns, settings.where, found)
    asked = narrow(found)
    table = telling(kind, asked).drop_duplicates(ignore_index=True)
    if table.empty:
        missing = f"no stored {kind} table covers these runs; run {STORED[kind].made_by}"
        talk.say(missing if found.empty else f"no row is left of the {kind} tables")

    def paper() -> Tabulated:
        once, notes = settled(kind, asked)
        return tabulate(kind, once, short_names([once]), notes=notes)

    return Outcome(main=kind, tables={kind: table}, summaries=(Summary(kind, table),), paper=paper)
