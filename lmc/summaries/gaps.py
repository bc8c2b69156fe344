"""The table ``gap`` in words: which layer breaks the line (THEORY 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc.core.pairing import run_pairs
from lmc.core.schema import nearest_middle
from lmc.core.statistics import estimate
from lmc.summaries.summary import Summary, by_experiments, over_pairs

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("cross_term", "additivity_gap", "feature_gap", "feature_cosine")


def leaving(table: pd.DataFrame) -> str:
    """Where the line leaves the mean representation most by what the layer itself adds.

    Args:
        table: rows of the table ``gap`` of one matcher at one alpha.
    """
    if not len(table):
        return "no layer's gap can be measured"
    means = table.groupby("layer", sort=False)[["cross_term", "additivity_gap"]].mean()
    place = int(means.sum(axis=1).to_numpy().argmax())
    cross, additivity = means.to_numpy()[place].tolist()
    measured = f"cross term {cross:.2g}, additivity gap {additivity:.2g}"
    return f"the line leaves the mean representation most at {means.index[place]} ({measured})"


def gaps(table: pd.DataFrame) -> list[Summary]:
    """Per experiment at alpha 1/2: every measure by matcher and layer, and which layer breaks the line."""
    alpha, middle = nearest_middle(table)
    found = []
    for title, part in by_experiments(middle):
        rows: list[dict[str, Any]] = []
        notes = []
        for match, group in part.groupby("match", sort=False):
            notes.append(f"match={match}: {leaving(group)}")
            for layer, at in group.groupby("layer", sort=False):
                pairs = run_pairs(at)
                means = {name.replace("_", " "): str(estimate(at[name], pairs)) for name in MEASURES}
                rows.append({"match": match, "layer": layer, **means})
        split = part["split"].iloc[0]
        title = f"{title}: gap between line and mean representation, alpha {alpha:.3g}, {split} split"
        found.append(Summary.of(title, rows, *notes, over_pairs(part)))
    return found
