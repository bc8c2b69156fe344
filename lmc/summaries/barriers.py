"""The table ``barrier`` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.pairing import run_pairs
from lmc.core.schema import columns
from lmc.core.statistics import estimate
from lmc.summaries.summary import Summary, by_experiments, over_pairs

if TYPE_CHECKING:
    import pandas as pd

BARRIERS = [name for name in columns("barrier") if name.endswith(("barrier", "barrier_max", "drop"))]


def barriers(table: pd.DataFrame) -> list[Summary]:
    """Per experiment: every barrier's mean over pairs with its interval, by matcher and split."""
    found = []
    for title, part in by_experiments(table):
        rows = []
        for (match, split), group in part.groupby(["match", "split"], sort=False):
            pairs = run_pairs(group)
            means = {name.replace("_", " "): str(estimate(group[name], pairs)) for name in BARRIERS}
            rows.append({"match": match, "split": split, **means})
        found.append(Summary.of(title, rows, over_pairs(part)))
    return found
