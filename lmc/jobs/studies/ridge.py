"""Do ridge costs and Mahalanobis costs agree?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from scipy.stats import spearmanr

from lmc.core.ratios import relative_swap_cost
from lmc.core.schema import frame
from lmc.core.statistics import estimate
from lmc.costs import SwapCost
from lmc.figures import ridge as figure
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import (
    Definition,
    Measured,
    Quantities,
    exchanged,
    learnt,
    lineup,
    runs_per_case,
)
from lmc.summaries import studies as words
from lmc.summaries.studies import interval_note

if TYPE_CHECKING:
    import pandas as pd


def ridge(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:relative:mahalanobis``, ``case:relative:BETA`` and ``case:spearman:BETA``."""
    matcher = Matcher.bind({"name": "identifiability"})
    rows: list[dict[str, Any]] = []
    known: Quantities = {}
    with talk.progress("costs", len(plans)) as bar:
        for case, plan in plans.items():
            ready = lineup(plan, definition, talk)
            known.update(learnt(case, plan, definition, ready.dataset))
            rows += [{"case": case, **row} for row in _rows(ready, matcher.needs.ratio, definition["betas"])]
            bar.advance()
    table = frame("estimate", rows)
    found = _quantities(table)
    note = interval_note(runs_per_case(plans), "means over layers; rho is Spearman's over pairs of neurons")
    summary = words.ridge(str(definition["title"]), list(plans), found, note)
    found |= known
    return Measured({"estimate": table}, found, summary, figure.draw(table), exchanged(found, plans))


def _rows(ready: Lineup, ratio: float, betas: list[float]) -> Iterator[dict[str, Any]]:
    for (index, name), layer in sorted(ready.measured.layers(ratio).items()):
        which = {**ready.runs[index].columns, "layer": name}
        plain = layer.swap_cost()
        yield {**which, "estimate": "mahalanobis", **_facts(plain)}
        for beta in betas:
            cost = layer.swap_cost("ridge", beta)
            a, b = (each.pairs for each in (plain, cost))
            rho = float(spearmanr(a, b).statistic) if a.std() > 0 and b.std() > 0 else float("nan")
            yield {**which, "estimate": "ridge", "beta": beta, **_facts(cost), "spearman": rho}


def _facts(cost: SwapCost) -> dict[str, float]:
    own, swap = float(cost.own.mean()), float(cost.pairs.mean())
    return {"own_cost": own, "swap_cost": swap, "relative_swap_cost": relative_swap_cost(swap, own, own)}


def _quantities(table: pd.DataFrame) -> Quantities:
    """Means over layers of each run, with intervals over runs."""
    found: Quantities = {}
    for where, part in table.groupby(["case", "estimate", "beta"], sort=False, dropna=False):
        case, estimated, beta = where  # type: ignore[misc]
        plain = estimated == "mahalanobis"
        detail = "mahalanobis" if plain else f"{beta:g}"
        runs = part.groupby(["experiment", "seed"])
        found[str(case), "relative", detail] = estimate(runs["relative_swap_cost"].mean())
        if not plain:
            found[str(case), "spearman", detail] = estimate(runs["spearman"].mean())
    return found
