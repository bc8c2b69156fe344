"""Barriers as the runs are and after matching, and how identifiable their neurons are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.pairing import run_pairs
from lmc.core.schema import concatenate
from lmc.core.statistics import estimate, paired, ratio
from lmc.data.chance import chance
from lmc.figures import path as figure
from lmc.figures import sweep
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import NONE, Matcher
from lmc.jobs.aligning.pair import each_aligned, named_split
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
    exchanged,
    learnt,
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
_PAIR = ["experiment_a", "seed_a", "epoch_a", "experiment_b", "seed_b", "epoch_b"]


def barriers(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:barrier:matcher``, ``case:accuracy:split``, and the table ``match`` by layer.

    ``case:share:matcher`` is the barrier as a share of what training gained, as in ``lmc check``;
    ``case:excess:matcher`` that of the barrier matched by identifiability beyond the other matcher's.
    """
    matchers = [NONE, *(Matcher.bind({"name": each}) for each in definition["match"])]
    split, labels = definition["split"], [matcher.label for matcher in matchers]
    lineups = {case: lineup(plan, definition, talk) for case, plan in plans.items()}
    tables = _tables(plans, list(lineups.values()), matchers, definition, talk)
    quantities = _quantities(plans, lineups, tables, definition)
    other = exchanged(quantities, plans)
    note = interval_note(runs_per_case(plans), f"{definition['pairs']} pairs; {split} loss barriers")
    summary = words.barriers(str(definition["title"]), list(plans), quantities, labels, split, note)
    if "sweep" in definition:
        swept = curves(plans, definition, quantities, labels)
        quantities.update(rank_correlations(swept))
        other.update(rank_correlations(curves(plans, definition, other, labels)))
        return Measured(tables, quantities, summary, sweep.draw(swept, definition["sweep"]), other)
    drawn = figure.draw(named_by_case(tables["path"], plans), split)
    return Measured(tables, quantities, summary, drawn, other)


def _tables(
    plans: Mapping[str, Plan],
    lineups: list[Lineup],
    matchers: list[Matcher],
    definition: Definition,
    talk: Talk,
) -> dict[str, pd.DataFrame]:
    line = Line(Path(alphas=definition["alphas"]))
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


def _quantities(
    plans: Mapping[str, Plan],
    lineups: Mapping[str, Lineup],
    tables: Mapping[str, pd.DataFrame],
    definition: Definition,
) -> Quantities:
    found: Quantities = {}
    split = definition["split"]
    for case, plan in plans.items():
        name, dataset = plan.experiment.name, lineups[case].dataset
        runs = tables["run"][tables["run"]["experiment"] == name]
        found[case, "accuracy", split] = estimate(runs[f"{split}_accuracy"], paired(runs))
        found.update(learnt(case, plan, definition, dataset))
        matched = _of(tables["match"], name)
        for layer, part in matched.groupby("layer", sort=False):
            found.update(_of_neurons(case, str(layer), part))
        found.update(_over_layers(case, matched))
        path, barrier = (_of(tables[kind], name) for kind in ("path", "barrier"))
        constant = chance(dataset, named_split(dataset, split))
        gain = _gain(path[path["split"] == split], constant)
        found.update(_barriers(case, barrier[barrier["split"] == split], gain))
    return found


def _of_neurons(case: str, layer: str, part: pd.DataFrame) -> Quantities:
    """Of one layer, or of the means over layers; costs relative to what training paid for both neurons."""
    pairs = run_pairs(part)
    found = {(case, key, layer): estimate(part[key], pairs) for key in _LAYER}
    found |= {(case, key, layer): estimate(part[key] / part["neurons"], pairs) for key in _SHARES}
    found[case, "relative_swap_cost", layer] = ratio(part["swap_cost"], 2 * part["own_cost"], pairs)
    return found


def _over_layers(case: str, matched: pd.DataFrame) -> Quantities:
    """Means over the layers of each pair, under the layer ``mean``."""
    shares = matched.assign(**{key: matched[key] / matched["neurons"] for key in _SHARES}, neurons=1.0)
    keys = [name for name in shares.columns if name.startswith(("experiment", "seed", "epoch"))]
    means = shares.groupby(keys, as_index=False, sort=False)[[*_LAYER, *_SHARES, "neurons"]].mean()
    return _of_neurons(case, "mean", means)


def _of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["experiment_a"] == name]


def _gain(path: pd.DataFrame, constant: float) -> pd.DataFrame:
    """What training gained on a constant output, per pair: the mean of its two ends."""
    ends = path[(path["match"] == "none") & path["alpha"].isin([0.0, 1.0])]
    return ends.groupby(_PAIR, as_index=False, sort=False)[["loss"]].mean().assign(constant=constant)


def _barriers(case: str, scanned: pd.DataFrame, gain: pd.DataFrame) -> Quantities:
    """Barriers, their share of what training gained, and what identifiability leaves over other matchers'."""
    found: Quantities = {}
    by_match = {}
    for match, part in scanned.groupby("match", sort=False):
        own = part.merge(gain, on=_PAIR)
        by_match[str(match)] = own["loss_barrier"]
        gained, pairs = own["constant"] - own["loss"], run_pairs(own)
        if not gained.mean() > 0:
            gained = gained * math.nan  # nothing was gained, so there is no share of it
        found[case, "barrier", str(match)] = estimate(own["loss_barrier"], pairs)
        found[case, "share", str(match)] = ratio(own["loss_barrier"], gained, pairs)
    ours = by_match.get("identifiability")
    for match, theirs in by_match.items():
        if ours is not None and match != "identifiability":
            found[case, "excess", match] = ratio(ours - theirs, gained, pairs)
    return found
