"""Does ``lmc predict`` foretell identifiability after training?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.statistics import estimate, rank_correlation
from lmc.core.tables import concatenate
from lmc.figures import prediction as figure
from lmc.jobs.aligning.lineup import Matcher
from lmc.jobs.match import match_tables
from lmc.jobs.planning.plan import Plan
from lmc.jobs.predict import predict
from lmc.summaries import Summary
from lmc.jobs.protocol.settings import Predict
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, interval_note, lineup

if TYPE_CHECKING:
    import pandas as pd


def prediction(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantity ``all:spearman:layer``: rank correlation of predicted cost and measured ratio over cases."""
    matcher = Matcher.bind({"name": "identifiability"})
    predicted, matched = [], []
    with talk.progress("predicting and matching", len(plans)) as bar:
        for plan in plans.values():
            predicted.append(predict(plan, Predict(seeds=1, neurons=2), talk))
            matched.append(match_tables(lineup(plan, definition, matcher, talk))["match"])
            bar.advance()
    tables = {
        "prediction": concatenate("prediction", predicted),
        "match": concatenate("match", matched),
    }
    joined = _joined(tables, plans)
    quantities = _quantities(joined)
    summary = _summary(definition, plans, joined, quantities)
    return Measured(tables, quantities, summary, figure.draw(joined))


def _joined(tables: Mapping[str, pd.DataFrame], plans: Mapping[str, Plan]) -> pd.DataFrame:
    """A row a case and hidden layer: predicted cost, and the ratio measured after training."""
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


def _summary(
    definition: Definition, plans: Mapping[str, Plan], joined: pd.DataFrame, found: Quantities
) -> Summary:
    import pandas as pd

    rows = [
        {
            "case": row.case,
            "layer": row.layer,
            "predicted swap / own": f"{row.relative_swap_cost:.3g}",
            "predicted identifiable": f"{row.identifiable:.1%}",
            "ratio after training": f"{row.identifiability_ratio:.3f}",
        }
        for row in joined.itertuples()
    ]
    seeds = len(next(iter(plans.values())).seeds)
    rho = "; ".join(f"{layer} {found['all', name, layer]}" for _, name, layer in found if name == "spearman")
    notes = (f"Spearman's rho over {len(plans)} cases: {rho}", interval_note(seeds, "rho's over cases"))
    return Summary(str(definition["title"]), pd.DataFrame(rows), notes)
