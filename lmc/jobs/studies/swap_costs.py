"""Swap-cost matrices against the intrinsic dimension of the data, for several scales of the centre."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from lmc.core.schema import concatenate, frame
from lmc.core.statistics import estimate
from lmc.figures import costs as figure
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.measuring.costs import swap_table
from lmc.jobs.measuring.layers import layer_row
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
from lmc.summaries import Summary
from lmc.summaries.studies import interval_note

if TYPE_CHECKING:
    import pandas as pd


def swap_costs(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:swap_cost:layer``, ``case:relative_swap_cost:layer`` and ``case:own_cost:layer``."""
    layer = definition["layer"]
    matcher = Matcher.bind({"name": "identifiability"})
    swaps, layers = [], []
    quantities: Quantities = {}
    with talk.progress("costs", len(plans)) as bar:
        for case, plan in plans.items():
            ready = lineup(plan, definition, talk)
            quantities.update(learnt(case, plan, definition, ready.dataset))
            means: dict[str, list[float]] = {"swap_cost": [], "own_cost": [], "relative_swap_cost": []}
            for index, opened in enumerate(ready.runs):
                measured = ready.measured.layers(matcher.needs.ratio)[index, layer]
                cost = measured.swap_cost()
                means["swap_cost"].append(float(cost.pairs.mean()))
                means["own_cost"].append(float(cost.own.mean()))
                means["relative_swap_cost"].append(float(cost.relative.mean()))
                layers.append(layer_row(opened, measured))
                about = {**opened.columns, "layer": layer, "estimate": "mahalanobis"}
                swaps.append(swap_table(about, cost.delta, torch.arange(len(cost.own))))
            for name, values in means.items():
                quantities[case, name, layer] = estimate(values)
            bar.advance()
    table = concatenate("swap", swaps)
    tables = {"swap": table, "layer": frame("layer", layers)}
    drawn = figure.draw_grid(_placed(table, plans), "scale", "dimension")
    summary = _summary(definition, plans, quantities)
    return Measured(tables, quantities, summary, drawn, exchanged(quantities, plans))


def _placed(table: pd.DataFrame, plans: Mapping[str, Plan]) -> pd.DataFrame:
    by_name = {plan.experiment.name: plan.settings for plan in plans.values()}
    return table.assign(
        scale=table["experiment"].map({name: own.variant["scale"] for name, own in by_name.items()}),
        dimension=table["experiment"].map({name: own.data["dimension"] for name, own in by_name.items()}),
    )


def _summary(definition: Definition, plans: Mapping[str, Plan], found: Quantities) -> Summary:
    layer = definition["layer"]
    names = ("own_cost", "swap_cost", "relative_swap_cost")
    rows = [
        {
            "scale": plan.settings.variant["scale"],
            "dimension": plan.settings.data["dimension"],
            **{name.replace("_", " "): str(found[case, name, layer]) for name in names},
        }
        for case, plan in plans.items()
    ]
    note = interval_note(runs_per_case(plans), f"{layer}; relative: Delta[i, j] / (C[i, i] + C[j, j])")
    return Summary.of(str(definition["title"]), rows, note)
