"""Barriers as the runs are and after matching, and how identifiable their neurons are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.pairing import run_pairs
from lmc.core.schema import concatenate
from lmc.core.statistics import estimate
from lmc.figures import path as figure
from lmc.figures import sweep
from lmc.jobs.aligning.matcher import NONE, Matcher
from lmc.jobs.aligning.pair import each_aligned
from lmc.jobs.measuring.neurons import match_tables
from lmc.jobs.measuring.pairwise import measure_pairs
from lmc.jobs.measuring.paths.line import Line
from lmc.jobs.opening.rows import run_table
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.commands.running import Path
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import (
    Definition,
    Measured,
    Quantities,
    lineup,
    named_by_case,
    runs_of,
    runs_per_case,
)
from lmc.jobs.studies.sweep import curves, rank_correlations
from lmc.summaries import studies as words
from lmc.summaries.studies import interval_note

if TYPE_CHECKING:
    import pandas as pd

_LAYER = ("optimal", "identity", "random", "identifiability_ratio", "swap_cost", "own_cost")
_SHARES = ("identifiable", "identified")


def barriers(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:barrier:matcher``, ``case:accuracy:split``, and the table ``match`` by layer."""
    matchers = [NONE, *(Matcher.bind({"name": each}) for each in definition["match"])]
    split, labels = definition["split"], [matcher.label for matcher in matchers]
    tables = _tables(plans, matchers, definition, talk)
    quantities = _quantities(plans, tables, split)
    note = interval_note(runs_per_case(plans), f"{definition['pairs']} pairs; {split} loss barriers")
    summary = words.barriers(str(definition["title"]), list(plans), quantities, labels, split, note)
    if "sweep" in definition:
        swept = curves(plans, definition, quantities, labels)
        quantities.update(rank_correlations(swept))
        return Measured(tables, quantities, summary, sweep.draw(swept, definition["sweep"]))
    return Measured(tables, quantities, summary, figure.draw(named_by_case(tables["path"], plans), split))


def _tables(
    plans: Mapping[str, Plan], matchers: list[Matcher], definition: Definition, talk: Talk
) -> dict[str, pd.DataFrame]:
    line = Line(Path(alphas=definition["alphas"]))
    lineups = [lineup(plan, definition, talk) for plan in plans.values()]
    pairs = sum(len(ready.pairs) for ready in lineups)
    with talk.progress("matching and scanning", pairs * len(matchers)) as bar:
        parts = [
            {
                **match_tables(ready, matchers[-1]),
                **measure_pairs(each_aligned([ready], matchers), [line], bar),
            }
            for ready in lineups
        ]
    tables = {kind: concatenate(kind, [part[kind] for part in parts]) for kind in parts[0]}
    return {**tables, "run": run_table(runs_of(plans))}


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
