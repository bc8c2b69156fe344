"""Does ``lmc predict`` foretell identifiability after training?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.schema import concatenate
from lmc.core.statistics import estimate, rank_correlation
from lmc.figures import prediction as figure
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.measuring.neurons import match_tables
from lmc.jobs.measuring.predictions import predict
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.commands.measuring import Predict
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, lineup, runs_per_case
from lmc.summaries import studies as words
from lmc.summaries.studies import interval_note

if TYPE_CHECKING:
    import pandas as pd


def prediction(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantity ``all:spearman:layer``: rank correlation of predicted cost and measured ratio over cases."""
    matcher = Matcher.bind({"name": "identifiability"})
    predicted, matched = [], []
    with talk.progress("predicting and matching", len(plans)) as bar:
        for plan in plans.values():
            predicted.append(predict(plan, Predict(seeds=1, neurons=2), talk))
            matched.append(match_tables(lineup(plan, definition, talk), matcher)["match"])
            bar.advance()
    tables = {
        "prediction": concatenate("prediction", predicted),
        "match": concatenate("match", matched),
    }
    joined = _joined(tables, plans)
    quantities = _quantities(joined)
    note = interval_note(runs_per_case(plans), "rho's over cases")
    summary = words.prediction(str(definition["title"]), len(plans), joined, quantities, note)
    return Measured(tables, quantities, summary, figure.draw(joined))


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
    return joined.assign(case=joined["experiment"].map(cases))


def _quantities(joined: pd.DataFrame) -> Quantities:
    """Spearman's rho by layer, with a bootstrap interval over cases."""
    found: Quantities = {}
    for layer, part in joined.groupby("layer", sort=False):
        rho = rank_correlation(part["relative_swap_cost"].tolist(), part["identifiability_ratio"].tolist())
        found["all", "spearman", str(layer)] = rho
    for where, part in joined.groupby(["case", "layer"], sort=False):
        case, name = map(str, where)  # type: ignore[arg-type]
        found[case, "identifiability_ratio", name] = estimate(part["identifiability_ratio"])
    return found
