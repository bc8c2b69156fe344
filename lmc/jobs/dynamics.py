"""``lmc dynamics``: how runs part or stay together while they train (THEORY 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.figures import dynamics as figure
from lmc.figures import objective
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.measuring.over_epochs import OverEpochs, measured, open_courses
from lmc.jobs.opening.job import open_pairs
from lmc.jobs.protocol.commands.measuring import Dynamics
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.summaries.dynamics import dynamics

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run(settings: Dynamics, talk: Talk) -> Outcome:
    """Measure every pair over its epochs; tables ``dynamics``, ``match``, ``path`` and ``barrier``."""
    matcher = Matcher.bind(settings.match)
    job = open_pairs("dynamics", settings, talk)
    works = [OverEpochs(course, settings, matcher, talk) for course in open_courses(job)]
    found = measured(works, talk)
    split = works[0].shown
    figures: dict[str, Figure | None] = {
        "dynamics": figure.draw(found["dynamics"], found["match"], found["barrier"], split)
    }
    if len(found["match"]) or len(found["barrier"]):
        figures["objective"] = objective.draw(found["match"], found["barrier"], split)
    tables = {kind: table for kind, table in found.items() if len(table)}
    main = next((kind for kind in ("dynamics", "match") if kind in tables), "barrier")
    return job.finish(tables, main, dynamics(found, split), figures)
