"""Do ridge costs and Mahalanobis costs agree?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from scipy.stats import spearmanr

from lmc.core.statistics import estimate
from lmc.core.tables import frame
from lmc.figures import ridge as figure
from lmc.jobs.aligning.lineup import Lineup, Matcher
from lmc.jobs.measuring.layers import off_diagonal
from lmc.jobs.planning.plan import Plan
from lmc.summaries import Summary
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, interval_note, lineup
from lmc.matching.identifiability import SwapCost

if TYPE_CHECKING:
    import pandas as pd


def ridge(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:relative:mahalanobis``, ``case:relative:BETA`` and ``case:spearman:BETA``."""
    matcher = Matcher.bind({"name": "identifiability"})
    rows: list[dict[str, Any]] = []
    with talk.progress("costs", len(plans)) as bar:
        for case, plan in plans.items():
            ready = lineup(plan, definition, matcher, talk)
            rows += [{"case": case, **row} for row in _rows(ready, definition["betas"])]
            bar.advance()
    table = frame("estimate", rows)
    found = _quantities(table)
    return Measured({"estimate": table}, found, _summary(definition, plans, found), figure.draw(table))


def _rows(ready: Lineup, betas: list[float]) -> Iterator[dict[str, Any]]:
    for (index, name), layer in sorted(ready.layers.items()):
        experiment, seed, epoch = ready.runs[index].key
        which = {"experiment": experiment, "seed": seed, "epoch": epoch, "layer": name}
        plain = layer.swap_cost()
        yield {**which, "estimate": "mahalanobis", **_facts(plain)}
        for beta in betas:
            cost = layer.swap_cost("ridge", beta)
            a, b = (off_diagonal(each.delta) for each in (plain, cost))
            rho = float(spearmanr(a, b).statistic) if a.std() > 0 and b.std() > 0 else float("nan")
            yield {**which, "estimate": "ridge", "beta": beta, **_facts(cost), "spearman": rho}


def _facts(cost: SwapCost) -> dict[str, float]:
    own, swap = float(cost.own.mean()), float(off_diagonal(cost.delta).mean())
    return {"own_cost": own, "swap_cost": swap, "relative_swap_cost": swap / (2 * own)}


def _quantities(table: pd.DataFrame) -> Quantities:
    """Means over layers of each run, with intervals over runs."""
    found: Quantities = {}
    for where, part in table.groupby(["case", "estimate", "beta"], sort=False, dropna=False):
        case, _, beta = where  # type: ignore[misc]
        detail = "mahalanobis" if beta != beta else f"{beta:g}"
        runs = part.groupby(["experiment", "seed"])
        found[str(case), "relative", detail] = estimate(runs["relative_swap_cost"].mean())
        if beta == beta:
            found[str(case), "spearman", detail] = estimate(runs["spearman"].mean())
    return found


def _summary(definition: Definition, plans: Mapping[str, Plan], found: Quantities) -> Summary:
    import pandas as pd

    details = list(dict.fromkeys(detail for _, _, detail in found))
    rows = []
    for case in plans:
        row = {"": case}
        for detail in details:
            label = detail if detail == "mahalanobis" else f"ridge {detail}"
            row[f"swap / own, {label}"] = str(found[case, "relative", detail])
            if (case, "spearman", detail) in found:
                row[f"rho, {detail}"] = str(found[case, "spearman", detail])
        rows.append(row)
    seeds = len(next(iter(plans.values())).seeds)
    note = interval_note(seeds, "means over layers; rho is Spearman's over pairs of neurons")
    return Summary(str(definition["title"]), pd.DataFrame(rows), (note,))
