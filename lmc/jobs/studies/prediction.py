"""Does ``lmc predict`` foretell identifiability after training?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.ranks import rank_correlation, rank_gain
from lmc.core.schema import concatenate
from lmc.core.statistics import estimate
from lmc.figures import prediction as figure
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.measuring.neurons import match_tables
from lmc.jobs.measuring.predictions import predict
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.commands.measuring import Predict
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, learnt, lineup, runs_per_case
from lmc.summaries import studies as words
from lmc.summaries.studies import interval_note

if TYPE_CHECKING:
    import pandas as pd


def prediction(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantity ``all:spearman:layer``: rank correlation of predicted cost and measured ratio over cases.

    ``all:trivial:layer`` is that of scale^2 x share fixed, which needs no computing, with the ratio;
    ``all:gain:layer`` what the prediction adds to it.
    """
    matcher = Matcher.bind({"name": "identifiability"})
    predicted, matched = [], []
    known: Quantities = {}
    with talk.progress("predicting and matching", len(plans)) as bar:
        for case, plan in plans.items():
            predicted.append(predict(plan, Predict(seeds=1, neurons=2), talk))
            ready = lineup(plan, definition, talk)
            matched.append(match_tables(ready, matcher)["match"])
            known |= learnt(case, plan, definition, ready.dataset)
            bar.advance()
    tables = {
        "prediction": concatenate("prediction", predicted),
        "match": concatenate("match", matched),
    }
    joined = _joined(tables, plans)
    quantities = _quantities(joined)
    note = interval_note(runs_per_case(plans), "rho's over cases")
    summary = words.prediction(str(definition["title"]), len(plans), joined, quantities, note)
    by_layer = joined.groupby("layer", sort=False)["relative_swap_cost"]
    other = joined.assign(relative_swap_cost=by_layer.transform(lambda cost: cost.to_numpy()[::-1]))
    exchanged = _quantities(other) | known
    return Measured(tables, quantities | known, summary, figure.draw(joined), exchanged)


def _joined(tables: Mapping[str, pd.DataFrame], plans: Mapping[str, Plan]) -> pd.DataFrame:
    """One row per case and hidden layer: predicted cost, and the ratio measured after training."""
    measured = (
        tables["match"]
        .groupby(["experiment_a", "layer"], as_index=False)[["identifiability_ratio"]]
        .mean()
        .rename(columns={"experiment_a": "experiment"})
    )
    cases = {plan.experiment.name: case for case, plan in plans.items()}
    joined = tables["prediction"].merge(measured, on=["experiment", "layer"])
    variants = {plan.experiment.name: plan.settings.variant for plan in plans.values()}
    trivial = {name: own["scale"] ** 2 * own["num_fixed"] for name, own in variants.items()}
    names = joined["experiment"]
    return joined.assign(case=names.map(cases), trivial=names.map(trivial))


def _quantities(joined: pd.DataFrame) -> Quantities:
    """Spearman's rho by layer, with an interval over cases."""
    found: Quantities = {}
    for layer, part in joined.groupby("layer", sort=False):
        columns = ("relative_swap_cost", "trivial", "identifiability_ratio")
        cost, trivial, measured = (part[name].tolist() for name in columns)
        found["all", "spearman", str(layer)] = rank_correlation(cost, measured)
        found["all", "trivial", str(layer)] = rank_correlation(trivial, measured)
        found["all", "gain", str(layer)] = rank_gain(cost, trivial, measured)
    for where, part in joined.groupby(["case", "layer"], sort=False):
        case, name = map(str, where)  # type: ignore[arg-type]
        found[case, "identifiability_ratio", name] = estimate(part["identifiability_ratio"])
    return found
