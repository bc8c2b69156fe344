"""``lmc symmetry``: which axes of which tensors permute together, proved on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc import symmetry
from lmc.core.schema import concatenate
from lmc.jobs.measuring.groups import networks, symmetry_tables
from lmc.jobs.protocol.commands.measuring import Symmetry
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.summaries import Summary
from lmc.summaries.symmetry import symmetries

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Symmetry, talk: Talk) -> Outcome:
    """The groups of a model, or of the runs' models; tables ``symmetry`` and ``fixed``."""
    parts: dict[str, list[pd.DataFrame]] = {"symmetry": [], "fixed": []}
    shown: list[Summary] = []
    for name, network, example in networks(settings):
        groups = symmetry.permutation_groups(network, example[:2])
        proofs = symmetry.verify(network, groups, example, thorough=True)
        for kind, table in symmetry_tables(name, groups, proofs).items():
            parts[kind].append(table)
        shown += symmetries(name, groups, proofs)
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    references = tuple(tables["symmetry"]["group"])
    return Outcome(main="symmetry", tables=tables, references=references, summaries=tuple(shown))
