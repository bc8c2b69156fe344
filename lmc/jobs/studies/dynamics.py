"""What happens to neurons and barriers while runs train: ``lmc dynamics`` case by case (THEORY 6)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.series import over_epochs, series
from lmc.core.statistics import Estimate
from lmc.figures import objective as figure
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.measuring.course import Course
from lmc.jobs.measuring.over_epochs import OverEpochs, measured
from lmc.jobs.opening.rows import run_table
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.commands.measuring import Dynamics
from lmc.jobs.protocol.composing import compose
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import (
    Definition,
    Measured,
    Quantities,
    exchanged,
    learnt,
    named_by_case,
    pair_set,
    runs_of,
    runs_per_case,
)
from lmc.summaries import Summary
from lmc.summaries.studies import interval_note

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
    """Quantities ``case:quantity:epoch`` of every line of ``lmc.core.series``.

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
    matcher = Matcher.bind(settings.match)
    works = [OverEpochs(_course(plan, definition), settings, matcher, talk) for plan in plans.values()]
    tables = {**measured(works, talk), "run": run_table(runs_of(plans))}
    named = {kind: named_by_case(tables[kind], plans) for kind in ("dynamics", "match", "barrier")}
    lines = series(named["dynamics"], named["match"], named["barrier"], definition["split"])
    quantities: Quantities = {}
    for case, part in lines.groupby("experiment", sort=False):
        quantities.update(_quantities(str(case), part))
    drawn = figure.draw(named["match"], named["barrier"], definition["split"])
    summary = _summary(definition, plans, quantities)
    quantities |= _learnt(plans, works, definition)
    untrained = _at_start(quantities) | _learnt(plans, works, {**definition, "epoch": 0})
    return Measured(tables, quantities, summary, drawn, exchanged(quantities, plans), untrained)


def _learnt(plans: Mapping[str, Plan], works: list[OverEpochs], definition: Definition) -> Quantities:
    found: Quantities = {}
    for (case, plan), work in zip(plans.items(), works, strict=True):
        found |= learnt(case, plan, definition, work.course.pairs.dataset)
    return found


def _at_start(found: Quantities) -> Quantities:
    """Every quantity as it is at the initialisation; undefined where it is of a step."""
    undefined = Estimate(math.nan, math.nan, math.nan, ())
    return {key: found.get((*key[:2], "epoch0"), undefined) for key in found}


def _course(plan: Plan, definition: Definition) -> Course:
    device = use_device(plan.settings.device, plan.settings.threads)
    return Course.open(pair_set(plan, definition), plan.checkpoints, "*", device)


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
    aligned = f"{definition['match']}, end"
    shown = {**_SHOWN, f"barrier, {aligned}": (f"barrier_{definition['match']}", "last")}
    rows = [
        {"": case, **{heading: str(found.get((case, *key), "-")) for heading, key in shown.items()}}
        for case in plans
    ]
    epochs = ", ".join(map(str, next(iter(plans.values())).checkpoints))
    note = interval_note(runs_per_case(plans), f"{definition['split']} loss barriers; epochs {epochs}")
    where = "start: the initialisation; lowest and highest: after it"
    return Summary.of(str(definition["title"]), rows, note, where)
