"""The table ``check`` in words: the verdict, its reason, and every number behind it (THEORY 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lmc.core.statistics import Estimate
from lmc.summaries.summary import Summary

LABELS = {
    "loss": "loss of the runs themselves",
    "gained": "loss reduction over the best constant predictor",
    "barrier_none": "loss barrier without alignment",
    "barrier_activation": "... aligned by activation",
    "barrier_identifiability": "... aligned by identifiability",
    "relative_none": "as a share of that loss reduction, without alignment",
    "relative_activation": "... aligned by activation",
    "relative_identifiability": "... aligned by identifiability",
    "identifiable": "neurons identifiable by cost",
    "identified": "neurons identified in fact",
    "identifiability_ratio": "identifiability ratio",
    "relative_swap_cost": "swap cost over own cost",
    "cross_term_none": "largest cross term of a layer, without alignment",
    "cross_term_activation": "... aligned by activation",
    "cross_term_identifiability": "... aligned by identifiability",
    "feature_gap_none": "largest feature gap of a layer, without alignment",
    "feature_gap_activation": "... aligned by activation",
    "feature_gap_identifiability": "... aligned by identifiability",
}
_SHARES = ("relative_none", "relative_activation", "relative_identifiability", "identifiable", "identified")


def verdict(title: str, found: Mapping[str, Estimate], layers: Mapping[str, str], *notes: str) -> Summary:
    """One line per quantity.

    Args:
        layers: of quantities that are the largest over layers, where that is.
    """
    lines = [
        {"": LABELS[name], " ": _shown(name, value), "layer": layers.get(name, "")}
        for name, value in found.items()
    ]
    return Summary.of(title, lines, *notes)


def _shown(quantity: str, value: Estimate) -> str:
    if quantity not in _SHARES or math.isnan(value.mean):
        return str(value)
    if math.isnan(value.low):
        return ", ".join(f"{each:.1%}" for each in value.values)
    return f"{value.mean:.1%} [{value.low:.1%}, {value.high:.1%}]"
