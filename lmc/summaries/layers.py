"""Norm costs, coherence and expected identifiability in words, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmc.core.statistics import estimate, paired
from lmc.summaries.summary import Summary, over_runs

if TYPE_CHECKING:
    import pandas as pd


def costs(verdicts: Sequence[Mapping[str, Any]], layers: pd.DataFrame) -> Summary:
    """Own costs, swap costs and what they say, by experiment, layer, beta and epoch.

    Args:
        verdicts: per run, layer and beta the means that the tables ``cost`` and ``swap`` hold.
        layers: the table ``layer``; a layer without verdicts is undefined.
    """
    import pandas as pd

    table = pd.DataFrame(list(verdicts))
    rows = _cost_rows(table, layers) if len(table) else []
    known = set() if table.empty else set(zip(table["experiment"], table["layer"], strict=True))
    rows += [
        {"experiment": name, "layer": layer, "own cost": "undefined"}
        for name, layer in layers[["experiment", "layer"]].drop_duplicates().itertuples(index=False)
        if (name, layer) not in known
    ]
    outside = int(layers["outside_range"].fillna(0).sum())
    missed = int(layers["not_converged"].fillna(0).sum())
    notes = [over_runs(len(layers[["experiment", "seed"]].drop_duplicates()))]
    notes += [f"{outside} pairs outside the slot's range"] if outside else []
    notes += [f"{missed} ridge costs did not converge"] if missed else []
    return Summary("norm costs", pd.DataFrame(rows).fillna("-"), tuple(notes))


def _cost_rows(table: pd.DataFrame, layers: pd.DataFrame) -> list[dict[str, Any]]:
    several = table["epoch"].nunique() > 1
    rows = []
    keys = ["experiment", "layer", "beta", table["epoch"] if several else table["epoch"] * 0]
    for (name, layer, beta, epoch), part in table.groupby(keys, sort=False, dropna=False):
        facts = layers[(layers["experiment"] == name) & (layers["layer"] == layer)]
        facts = facts[facts["epoch"] == epoch] if several else facts
        which = {
            "experiment": name,
            "layer": layer if part["estimate"].iloc[0] == "mahalanobis" else f"{layer}, beta {beta:g}",
        }
        rows.append({**which, **({"epoch": str(epoch)} if several else {}), **_cost_row(part, facts)})
    return rows


def _cost_row(part: pd.DataFrame, facts: pd.DataFrame) -> dict[str, Any]:
    whole = part["identifiable"].notna().all()
    row = {
        "k": f"{facts['dimension'].mean():.0f} of {facts['inputs'].iloc[0]}",
        "explained": f"{facts['explained_variance'].mean():.3f}",
        "coherence": f"{facts['coherence'].mean():.3f}",
        "own cost": str(estimate(part["own"], paired(part))),
        "swap cost": str(estimate(part["mean"], paired(part))),
        "least": f"{part['least'].min():.3g}",
        "share <= 0": f"{part['cheap'].mean():.1%}",
        "identifiable": f"{part['identifiable'].mean():.1%}" if whole else "-",
    }
    if "distance" in part:
        row["class distance"] = str(estimate(part["distance"], paired(part)))
    return row


def coherence(layers: pd.DataFrame, bounds: pd.DataFrame) -> Summary:
    """Coherence of the inputs, anisotropy of the slots, and the bound on it."""
    rows = []
    for (name, layer), part in layers.groupby(["experiment", "layer"], sort=False):
        row = {
            "experiment": name,
            "layer": layer,
            "k": f"{part['dimension'].mean():.0f} of {part['inputs'].iloc[0]}",
            "coherence": str(estimate(part["coherence"], paired(part))),
            "anisotropy": str(estimate(part["anisotropy_mean"], paired(part))),
            "largest": f"{part['anisotropy_max'].max():.3g}",
        }
        own = bounds[(bounds["experiment"] == name) & (bounds["layer"] == layer)]
        for delta, group in own.groupby("delta"):
            within = f"({group['share_within'].mean():.0%} within)"
            row[f"bound, delta {delta:g}"] = f"{group['bound'].mean():.3g} {within}"
        rows.append(row)
    runs = len(layers[["experiment", "seed", "epoch"]].drop_duplicates())
    return Summary.of("coherence of the inputs, anisotropy of the slots", rows, over_runs(runs))


def prediction(title: str, initialisations: int, table: pd.DataFrame) -> Summary:
    """What to expect of every layer, and of the hidden neurons in all."""
    rows = [
        {
            "layer": row.layer,
            "coherence": f"{row.coherence:.3f}",
            "anisotropy": f"{row.anisotropy_mean:.3f}",
            "class distance": f"{row.class_distance:.3g}",
            "own cost": f"{row.own_cost:.3g}",
            "swap cost": f"{row.swap_cost:.3g}",
            "swap / own": f"{row.relative_swap_cost:.3g}",
            "identifiable": f"{row.identifiable:.1%}",
        }
        for row in table.itertuples()
    ]
    hidden = table["identifiable"].iloc[:-1] if len(table) > 1 else table["identifiable"]
    verdict = f"expected share of hidden neurons identifiable by cost: {hidden.mean():.1%}"
    note = f"{initialisations} random initialisations; layers after the first see the initialised network"
    return Summary.of(title, rows, verdict, note)
