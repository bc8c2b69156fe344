"""What happens to neurons and barriers while runs train: ``lmc dynamics`` case by case (THEORY 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.statistics import Estimate
from lmc.figures import objective as figure
from lmc.figures.series import over_epochs, series
from lmc.jobs.dynamics import Work, measured
from lmc.jobs.measuring.course import Course
from lmc.jobs.opening.data import use_device
from lmc.jobs.planning.plan import Plan
from lmc.summaries import Summary
from lmc.jobs.protocol.settings import Dynamics, compose
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, interval_note, pair_set
from lmc.jobs.train import run_table

if TYPE_CHECKING:
    import pandas as pd

# Heading: quantity and detail.
_SHOWN = {
    "identifiability ratio, start": ("identifiability_ratio", "first"),
    "lowest": ("identifiability_ratio", "lowest"),
    "end": ("identifiability_ratio", "last"),
    "cosine of updates, end": ("update_cosine_all_weights", "last"),
    "barrier, highest": ("barrier_none", "highest"),
    "barrier, end": ("barrier_none", "last"),
}


def dynamics(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``case:quantity:epoch`` of every line of ``lmc.figures.series``.

    ``quantity`` is its name and line, such as ``objective_identity`` or ``barrier_none``, or the name alone
    for the mean over lines (layers). ``epoch`` is ``epoch5``, ``first`` or ``last``, or that of the
    ``lowest`` or ``highest`` mean after the initialisation.
    """
    settings = compose(
        Dynamics,
        {
            "measures": definition["measures"],
            "match": definition["match"],
            "alphas": definition["alphas"],
            "splits": [definition["split"]],
        },
    )
    works = [Work(_course(plan, definition), settings, talk) for plan in plans.values()]
    tables = measured(works, talk)
    tables["run"] = run_table(list(plans.values()))
    cases = {plan.experiment.name: case for case, plan in plans.items()}
    named = {kind: _named(tables[kind], cases) for kind in ("dynamics", "match", "barrier")}
    lines = series(named["dynamics"], named["match"], named["barrier"], definition["split"])
    quantities: Quantities = {}
    for case, part in lines.groupby("experiment", sort=False):
        quantities.update(_quantities(str(case), part))
    drawn = figure.draw(named["match"], named["barrier"], definition["split"])
    return Measured(tables, quantities, _summary(definition, plans, quantities), drawn)


def _course(plan: Plan, definition: Definition) -> Course:
    device = use_device(plan.settings.device, plan.settings.threads)
    return Course.open(pair_set(plan, definition), plan.checkpoints, "*", device)


def _named(table: pd.DataFrame, cases: Mapping[str, str]) -> pd.DataFrame:
    return table.assign(**{name: table[name].map(cases) for name in ("experiment_a", "experiment_b")})


def _quantities(case: str, part: pd.DataFrame) -> Quantities:
    found: Quantities = {}
    for quantity, lines in part.groupby("quantity", sort=False):
        curves = {f"{quantity} {line}": own for line, own in lines.groupby("line", sort=False)}
        for name, curve in {str(quantity): lines, **curves}.items():
            points = dict(over_epochs(curve))
            key = re.sub(r"\W+", "_", name)
            found.update({(case, key, detail): value for detail, value in _places(points).items()})
    return found


def _places(points: Mapping[int, Estimate]) -> dict[str, Estimate]:
    if not points:
        return {}
    trained = [value for epoch, value in points.items() if epoch > 0] or list(points.values())
    return {
        **{f"epoch{epoch}": value for epoch, value in points.items()},
        "first": points[min(points)],
        "last": points[max(points)],
        "lowest": min(trained, key=lambda value: value.mean),
        "highest": max(trained, key=lambda value: value.mean),
    }


def _summary(definition: Definition, plans: Mapping[str, Plan], found: Quantities) -> Summary:
    import pandas as pd

    aligned = f"{definition['match']}, end"
    shown = {**_SHOWN, f"barrier, {aligned}": (f"barrier_{definition['match']}", "last")}
    rows = [
        {"": case, **{heading: str(found.get((case, *key), "-")) for heading, key in shown.items()}}
        for case in plans
    ]
    plan = next(iter(plans.values()))
    epochs = ", ".join(map(str, plan.checkpoints))
    note = interval_note(len(plan.seeds), f"{definition['split']} loss barriers; epochs {epochs}")
    return Summary(
        str(definition["title"]),
        pd.DataFrame(rows),
        (note, "start: the initialisation; lowest and highest: after it"),
    )
