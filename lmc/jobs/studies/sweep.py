"""A swept setting's curves: a series a listed case, a point a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmc.core.ranks import rank_correlation
from lmc.jobs.planning.plan import Plan
from lmc.jobs.studies.measured import Definition, Quantities

if TYPE_CHECKING:
    import pandas as pd

RATIO = "identifiability ratio"


def curves(
    plans: Mapping[str, Plan], definition: Definition, found: Quantities, matchers: Sequence[str]
) -> pd.DataFrame:
    """Columns series, x, curve, mean, low, high: barriers by matcher and the identifiability ratio."""
    import pandas as pd

    group, _, key = definition["sweep"].partition(".")
    rows: list[dict[str, Any]] = []
    for case, plan in plans.items():
        series = next((name for name in definition.get("cases", ()) if case.startswith(f"{name}-")), "all")
        where = {"series": series, "x": getattr(plan.settings, group)[key]}
        values = {match: found[case, "barrier", match] for match in matchers}
        values[RATIO] = found[case, "identifiability_ratio", "mean"]
        for name, value in values.items():
            low, high = value.ends
            rows.append({**where, "curve": name, "mean": value.mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def rank_correlations(swept: pd.DataFrame) -> Quantities:
    """Quantities ``series:spearman:curve``: the rank correlation of every curve with what is swept."""
    return {
        (str(series), "spearman", str(curve).replace(" ", "_")): rank_correlation(
            part["x"].tolist(), part["mean"].tolist()
        )
        for (series, curve), part in swept.groupby(["series", "curve"], sort=False)
    }
