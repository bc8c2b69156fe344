"""The table ``representation`` in words (THEORY 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc.core.pairing import run_pairs
from lmc.core.schema import nearest_middle
from lmc.core.statistics import estimate
from lmc.summaries.summary import Summary, by_experiments, over_pairs

if TYPE_CHECKING:
    import pandas as pd

LINE, ENSEMBLE = "input", "output"
_BEHIND = {LINE: "nothing (the line)", ENSEMBLE: "the outputs (ensemble)"}


def representations(table: pd.DataFrame, split: str) -> list[Summary]:
    """Per experiment: loss and accuracy at alpha 1/2, and the largest loss, by matcher, layer and head."""
    found = []
    for title, part in by_experiments(table[table["split"] == split]):
        alpha, _ = nearest_middle(part)
        rows = [
            _row(str(match), str(layer), str(head), group)
            for (match, layer, head), group in part.groupby(["match", "layer", "head"], sort=False)
        ]
        title = f"{title}: averaged hidden states, alpha {alpha:.3g}, {split} split"
        found.append(Summary.of(title, rows, over_pairs(part)))
    return found


def _row(match: str, layer: str, head: str, group: pd.DataFrame) -> dict[str, Any]:
    _, at = nearest_middle(group)
    pairs = run_pairs(at)
    keys = ["experiment_a", "experiment_b", "seed_a", "seed_b"]
    largest = group.groupby(keys, as_index=False, sort=False)[["loss"]].max()
    return {
        "match": match,
        "averaged behind": _BEHIND.get(layer, layer),
        "head": "" if layer in _BEHIND else head,
        "loss": str(estimate(at["loss"], pairs)),
        "accuracy": str(estimate(at["accuracy"], pairs)),
        "largest loss on the way": str(estimate(largest["loss"], run_pairs(largest))),
    }
