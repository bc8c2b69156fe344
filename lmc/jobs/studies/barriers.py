"""Barriers as the runs are and after matching, and how identifiable their neurons are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmc.core.statistics import estimate
from lmc.core.tables import concatenate
from lmc.figures import path as figure
from lmc.figures import sweep
from lmc.jobs.aligning.lineup import Lineup, Matcher
from lmc.jobs.match import match_tables
from lmc.jobs.path import alpha_list, barrier_table, scan_pair
from lmc.jobs.planning.plan import Plan
from lmc.summaries import Summary
from lmc.jobs.protocol.pairing import run_pairs
from lmc.jobs.protocol.talk import Bar, Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, interval_note, lineup
from lmc.jobs.studies.sweep import curves, rank_correlations
from lmc.jobs.train import run_table

if TYPE_CHECKING:
    import pandas as pd

_LAYER = ("optimal", "identity", "random", "identifiability_ratio", "swap_cost", "own_cost")
_SHARES = ("identifiable", "identified")
_FEW = 3


def barriers(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:barrier:matcher``, ``case:accuracy:split``, and the table ``match`` by layer."""
    matchers = [Matcher.bind({"name": each}) for each in ("none", *definition["match"])]
    tables = _tables(plans, matchers, definition, talk)
    quantities = _quantities(plans, tables, definition["split"])
    summary = _summary(definition, plans, quantities, matchers)
    if "sweep" in definition:
        swept = curves(plans, definition, quantities, [matcher.label for matcher in matchers])
        quantities.update(rank_correlations(swept))
        return Measured(tables, quantities, summary, sweep.draw(swept, definition["sweep"]))
    cases = {plan.experiment.name: case for case, plan in plans.items()}
    named = tables["path"].assign(
        experiment_a=tables["path"]["experiment_a"].map(cases),
        experiment_b=tables["path"]["experiment_b"].map(cases),
    )
    return Measured(tables, quantities, summary, figure.draw(named, definition["split"]))


def _tables(
    plans: Mapping[str, Plan], matchers: list[Matcher], definition: Definition, talk: Talk
) -> dict[str, pd.DataFrame]:
    parts: dict[str, list[pd.DataFrame]] = {"path": [], "match": [], "neuron": [], "layer": []}
    alphas = alpha_list(definition["alphas"])
    pairs = sum(len(plan.seeds) // 2 for plan in plans.values())
    with talk.progress("matching and scanning", pairs * len(matchers)) as bar:
        for plan in plans.values():
            ready = lineup(plan, definition, matchers[-1], talk)
            for kind, table in match_tables(ready).items():
                parts[kind].append(table)
            parts["path"] += _scan(ready, matchers, alphas, bar)
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    tables["barrier"] = barrier_table(tables["path"])
    tables["run"] = run_table(list(plans.values()))
    return tables


def _scan(ready: Lineup, matchers: list[Matcher], alphas: list[float], bar: Bar) -> list[pd.DataFrame]:
    parts = []
    for a, b in ready.pairs:
        for matcher in matchers:
            parts.append(scan_pair(ready, a, b, matcher, alphas, None))
            bar.advance()
    return parts


def _quantities(plans: Mapping[str, Plan], tables: Mapping[str, pd.DataFrame], split: str) -> Quantities:
    found: Quantities = {}
    for case, plan in plans.items():
        name = plan.experiment.name
        runs = tables["run"][tables["run"]["experiment"] == name]
        found[case, "accuracy", split] = estimate(runs[f"{split}_accuracy"])
        matched = _of(tables["match"], name)
        for layer, part in matched.groupby("layer", sort=False):
            pairs = run_pairs(part)
            for key in _LAYER:
                found[case, key, str(layer)] = estimate(part[key], pairs)
            for key in _SHARES:
                found[case, key, str(layer)] = estimate(part[key] / part["neurons"], pairs)
        found.update(_over_layers(case, matched))
        scanned = _of(tables["barrier"], name)
        scanned = scanned[scanned["split"] == split]
        by_match = {str(match): part for match, part in scanned.groupby("match", sort=False)}
        for match, part in by_match.items():
            found[case, "barrier", match] = estimate(part["loss_barrier"], run_pairs(part))
        found.update(_excess(case, by_match, found))
    return found


def _over_layers(case: str, matched: pd.DataFrame) -> Quantities:
    """Means over the layers of each pair, under the layer ``mean``."""
    shares = matched.assign(**{key: matched[key] / matched["neurons"] for key in _SHARES})
    keys = [name for name in shares.columns if name.startswith(("experiment", "seed", "epoch"))]
    means = shares.groupby(keys, as_index=False, sort=False)[[*_LAYER, *_SHARES]].mean()
    pairs = run_pairs(means)
    return {(case, key, "mean"): estimate(means[key], pairs) for key in (*_LAYER, *_SHARES)}


def _of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["experiment_a"] == name]


def _excess(case: str, by_match: Mapping[str, pd.DataFrame], found: Quantities) -> Quantities:
    """Pair by pair, the barrier after matching by identifiability over the better of none and activation."""
    if not {"none", "activation", "identifiability"} <= by_match.keys():
        return {}
    best = min(("none", "activation"), key=lambda match: found[case, "barrier", match].mean)
    ours = by_match["identifiability"]
    difference = ours["loss_barrier"].to_numpy() - by_match[best]["loss_barrier"].to_numpy()
    return {(case, "excess", "identifiability"): estimate(difference, run_pairs(ours))}


def _summary(
    definition: Definition, plans: Mapping[str, Plan], found: Quantities, matchers: list[Matcher]
) -> Summary:
    import pandas as pd

    split = definition["split"]
    layers = list(
        dict.fromkeys(
            detail for _, name, detail in found if name == "identifiability_ratio" and detail != "mean"
        )
    )
    rows = []
    for case in plans:
        row: dict[str, Any] = {"": case, f"{split} accuracy": str(found[case, "accuracy", split])}
        for layer in layers if len(layers) <= _FEW else ["mean"]:
            row[f"identifiability ratio {layer}"] = str(found[case, "identifiability_ratio", layer])
        for matcher in matchers:
            row[f"barrier, {matcher.label}"] = str(found[case, "barrier", matcher.label])
        rows.append(row)
    seeds = len(next(iter(plans.values())).seeds)
    note = interval_note(seeds, f"{definition['pairs']} pairs; {split} loss barriers")
    return Summary(str(definition["title"]), pd.DataFrame(rows), (note,))
