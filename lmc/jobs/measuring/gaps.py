"""The gap between the line and the mean representation, layer by layer (THEORY 4): table and summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmc import paths
from lmc.core.statistics import estimate
from lmc.core.tables import frame, nearest_middle
from lmc.jobs.aligning.pair import Aligned, named_split
from lmc.jobs.measuring.layers import chosen_layers
from lmc.jobs.protocol.outcome import Summary
from lmc.jobs.protocol.pairing import INTERVAL, pair_count, run_pairs

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("cross_term", "additivity_gap", "feature_gap", "feature_cosine")
_EXAMPLES = 4


def gap_table(
    pair: Aligned,
    alphas: Sequence[float],
    split: str,
    layers: str | Sequence[str] = "*",
    restatistics: bool | None = None,
) -> pd.DataFrame:
    """The table ``gap`` of one aligned pair."""
    inputs = named_split(pair.dataset, split).inputs
    chosen = chosen_layers(pair.network, layers)
    examples = inputs[:_EXAMPLES].to(next(iter(pair.a.values())).device)
    segments = paths.segments(pair.network, pair.a, examples, chosen)
    statistics = pair.statistics(restatistics)
    task = pair.dataset.task
    scene = paths.Scene(
        pair.network, pair.a, pair.b, alphas, pair.splits, task.losses, task.correct, statistics
    )
    found = paths.gaps(scene, segments, split)
    rows = [
        {
            **pair.which,
            "split": split,
            "layer": layer,
            "alpha": alpha,
            **{name: float(getattr(gap, name)[place]) for name in MEASURES},
        }
        for layer, gap in found.items()
        for place, alpha in enumerate(alphas)
    ]
    return frame("gap", rows)


def breaking_layer(table: pd.DataFrame) -> tuple[str, float, float]:
    """Where the line leaves the merged representation most by what the layer itself adds.

    Args:
        table: rows of the table ``gap`` at one alpha.

    Returns:
        the layer, and its cross term and additivity gap, means over pairs.
    """
    means = table.groupby("layer", sort=False)[["cross_term", "additivity_gap"]].mean()
    place = int(means.sum(axis=1).to_numpy().argmax())
    cross, additivity = means.to_numpy()[place].tolist()
    return str(means.index[place]), cross, additivity


def summaries(table: pd.DataFrame) -> list[Summary]:
    """Per experiment at alpha 1/2: every measure by matcher and layer, and which layer breaks the line."""
    import pandas as pd

    alpha, middle = nearest_middle(table)
    found = []
    for names, part in middle.groupby(["experiment_a", "experiment_b"], sort=False):
        rows: list[dict[str, Any]] = []
        notes = []
        for match, group in part.groupby("match", sort=False):
            layer, cross, additivity = breaking_layer(group)
            notes.append(
                f"match={match}: the line leaves the mean representation most at {layer} "
                f"(cross term {cross:.2g}, additivity gap {additivity:.2g})"
            )
            for each, at in group.groupby("layer", sort=False):
                pairs = run_pairs(at)
                measures = {name.replace("_", " "): str(estimate(at[name], pairs)) for name in MEASURES}
                rows.append({"match": match, "layer": each, **measures})
        title = " and ".join(dict.fromkeys(map(str, names)))
        notes.append(f"{pair_count(part)}; {INTERVAL}")
        split = part["split"].iloc[0]
        title = f"{title}: gap between line and mean representation, alpha {alpha:.3g}, {split} split"
        found.append(Summary(title, pd.DataFrame(rows), tuple(notes)))
    return found
