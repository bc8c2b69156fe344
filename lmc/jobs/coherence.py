"""``lmc coherence``: does the mask break permutation symmetry on these data? (THEORY 3)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.schema import concatenate
from lmc.jobs.measuring.anisotropies import coherence_tables
from lmc.jobs.measuring.layers import recorded
from lmc.jobs.opening.job import open_each
from lmc.jobs.protocol.commands.measuring import Coherence
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.summaries import layers as words

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Coherence, talk: Talk) -> Outcome:
    """Coherence of every layer's inputs, anisotropy of its slots, and the bound on it."""
    job = open_each("coherence", settings, talk)
    parts: dict[str, list[pd.DataFrame]] = {"layer": [], "anisotropy": [], "bound": []}
    for each in recorded(job):
        for tables in coherence_tables(each, settings.deltas, talk):
            for kind, table in tables.items():
                parts[kind].append(table)
    found = {kind: concatenate(kind, listed) for kind, listed in parts.items()}
    return job.finish(found, "layer", [words.coherence(found["layer"], found["bound"])])
