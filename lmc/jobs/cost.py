"""``lmc cost``: norm cost of realising each function, and of swapping two neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc.core.schema import concatenate
from lmc.figures import costs as figure
from lmc.jobs.measuring.costs import cost_tables
from lmc.jobs.measuring.layers import recorded
from lmc.jobs.opening.job import open_each
from lmc.jobs.protocol.commands.measuring import Cost
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.summaries import layers as words

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Cost, talk: Talk) -> Outcome:
    """Costs of every layer of the references' runs; tables ``cost``, ``swap``, ``layer`` and ``distance``."""
    job = open_each("cost", settings, talk)
    kinds = ("cost", "swap", "layer", *(("distance",) if settings.distance else ()))
    parts: dict[str, list[pd.DataFrame]] = {kind: [] for kind in kinds}
    means: list[dict[str, Any]] = []
    for each in recorded(job, settings.epochs == "all"):
        for tables, own in cost_tables(each, settings, talk):
            means += own
            for kind, table in tables.items():
                parts[kind].append(table)
    found = {kind: concatenate(kind, listed) for kind, listed in parts.items()}
    figures = {"cost": figure.draw(found["swap"])}
    return job.finish(found, "layer", [words.costs(means, found["layer"])], figures)
