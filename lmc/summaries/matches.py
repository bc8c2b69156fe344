"""The tables ``match`` and ``tau`` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc.core.pairing import run_pairs
from lmc.core.ratios import relative_swap_cost
from lmc.core.statistics import estimate
from lmc.summaries.summary import Summary, by_experiments, over_pairs

if TYPE_CHECKING:
    import pandas as pd


def matches(table: pd.DataFrame) -> list[Summary]:
    """Per experiment and layer: means over pairs, with intervals."""
    found = []
    for title, part in by_experiments(table):
        rows = [_layer(str(layer), group) for layer, group in part.groupby("layer", sort=False)]
        constants = int(part["constant_a"].sum() + part["constant_b"].sum())
        notes = [f"{constants} constant units, similarity 0"] if constants else []
        title = f"{title}, match={part['match'].iloc[0]}"
        found.append(Summary.of(title, rows, over_pairs(part), *notes))
    return found


def _layer(layer: str, group: pd.DataFrame) -> dict[str, Any]:
    pairs = run_pairs(group)
    shares = {key: group[key] / group["neurons"] for key in ("identifiable", "identified", "fixed_points")}
    costed = group["own_cost"].notna().any()
    relative = relative_swap_cost(group["swap_cost"], group["own_cost"], group["own_cost"])
    return {
        "layer": layer,
        "neurons": str(group["neurons"].iloc[0]),
        **{key: str(estimate(group[key], pairs)) for key in ("optimal", "identity", "random")},
        "identifiability ratio": str(estimate(group["identifiability_ratio"], pairs)),
        "identifiable by cost": _percent(shares["identifiable"]) if costed else "undefined",
        "identified in fact": _percent(shares["identified"]),
        "moved": _percent(1 - shares["fixed_points"]),
        "swap / own cost": f"{relative.mean():.3g}" if costed else "-",
    }


def _percent(shares: pd.Series[float]) -> str:
    return f"{shares.mean():.1%}"


def sensitivity(table: pd.DataFrame) -> Summary:
    """How much is moved, and the barrier then, as tau changes."""
    rows = []
    for tau, part in table.groupby("tau"):
        pairs = run_pairs(part)
        moved, barrier = (str(estimate(part[name], pairs)) for name in ("share_moved", "loss_barrier"))
        rows.append({"tau": f"{tau:g}", "share moved": moved, "test loss barrier": barrier})
    return Summary.of("sensitivity to tau", rows, over_pairs(table))
