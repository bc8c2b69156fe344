"""``lmc explain``: what a term, a table, a column or a part means."""

from __future__ import annotations

from lmc.core.schema import frame
from lmc.jobs.protocol.commands.reading import Explain
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting.vocabulary import parts_for
from lmc.summaries.terms import meanings
from lmc.theory import contents, explain


def run(settings: Explain, talk: Talk) -> Outcome:
    """Every meaning of the words given, or the list of all terms; table ``explanation``."""
    term = " ".join(settings.references)
    parts = parts_for(term)
    found = explain(term, parts) if term else contents(parts)
    return Outcome(
        main="explanation",
        tables={"explanation": frame("explanation", found.rows())},
        references=tuple(dict.fromkeys(each.title for each in found.meanings)),
        summaries=tuple(meanings(found)),
    )
