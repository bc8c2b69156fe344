"""Swap-cost matrices against the intrinsic dimension of the data, for several scales of the centre."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lmc.core.statistics import estimate
from lmc.core.tables import concatenate, frame
from lmc.figures import costs as figure
from lmc.jobs.aligning.lineup import Matcher
from lmc.jobs.measuring.layers import layer_row, off_diagonal
from lmc.jobs.planning.plan import Plan
from lmc.summaries import Summary
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, interval_note, lineup

if TYPE_CHECKING:
    import pandas as pd


def swap_costs(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:swap_cost:layer``, ``case:relative_swap_cost:layer`` and ``case:own_cost:layer``."""
    layer = definition["layer"]
    matcher = Matcher.bind({"name": "identifiability"})
    swaps, layers, quantities = [], [], {}
    with talk.progress("costs", len(plans)) as bar:
        for case, plan in plans.items():
            ready = lineup(plan, definition, matcher, talk)
            means: dict[str, list[float]] = {"swap_cost": [], "own_cost": [], "relative_swap_cost": []}
            for index, opened in enumerate(ready.runs):
                measured = ready.layers[index, layer]
                cost = measured.swap_cost()
                pairs = off_diagonal(cost.delta)
                paid = off_diagonal(cost.own[:, None] + cost.own[None, :])
                means["swap_cost"].append(float(pairs.mean()))
                means["own_cost"].append(float(cost.own.mean()))
                means["relative_swap_cost"].append(float((pairs / paid).mean()))
                layers.append(layer_row(opened, measured))
                swaps.append(_table(opened.key, layer, cost.delta))
            for name, values in means.items():
                quantities[case, name, layer] = estimate(values)
            bar.advance()
    table = concatenate("swap", swaps)
    tables = {"swap": table, "layer": frame("layer", layers)}
    drawn = figure.draw_grid(_placed(table, plans), "scale", "dimension")
    return Measured(tables, quantities, _summary(definition, plans, quantities), drawn)


def _table(key: tuple[str, int, int], layer: str, delta: torch.Tensor) -> pd.DataFrame:
    rows, columns = torch.triu_indices(len(delta), len(delta), offset=1)
    return frame(
        "swap",
        {
            **dict(zip(("experiment", "seed", "epoch"), key, strict=True)),
            "layer": layer,
            "estimate": "mahalanobis",
            "neuron_a": rows.numpy(),
            "neuron_b": columns.numpy(),
            "swap_cost": off_diagonal(delta).numpy(),
        },
    )


def _placed(table: pd.DataFrame, plans: Mapping[str, Plan]) -> pd.DataFrame:
    by_name = {plan.experiment.name: plan.settings for plan in plans.values()}
    return table.assign(
        scale=table["experiment"].map({name: own.variant["scale"] for name, own in by_name.items()}),
        dimension=table["experiment"].map({name: own.data["dimension"] for name, own in by_name.items()}),
    )


def _summary(definition: Definition, plans: Mapping[str, Plan], found: Quantities) -> Summary:
    import pandas as pd

    layer = definition["layer"]
    rows: list[dict[str, Any]] = []
    for case, plan in plans.items():
        rows.append(
            {
                "scale": plan.settings.variant["scale"],
                "dimension": plan.settings.data["dimension"],
                **{
                    name.replace("_", " "): str(found[case, name, layer])
                    for name in ("own_cost", "swap_cost", "relative_swap_cost")
                },
            }
        )
    seeds = len(next(iter(plans.values())).seeds)
    note = interval_note(seeds, f"{layer}; relative: Delta[i, j] / (C[i, i] + C[j, j])")
    return Summary(str(definition["title"]), pd.DataFrame(rows), (note,))
