"""Claims beside what comes of them where they must not hold.

``untrained``: the same networks at their initialisation. ``exchanged``: the same numbers under other cases'
names. A claim that holds there too says nothing about training, or about the cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies import MEASURES
from lmc.jobs.studies.claims import JudgedClaim
from lmc.jobs.studies.measured import Measured, Quantities
from lmc.jobs.studies.study import Study


def judge(study: Study, plans: Mapping[str, Plan], measured: Measured, talk: Talk) -> list[JudgedClaim]:
    """Every claim with its controls; none at the tiny size, which decides nothing."""
    limit = study.definition.get("learnt")
    found = [claim.judge(measured.quantities, limit) for claim in study.claims]
    if study.settings.size == "tiny":
        return [replace(each, too_small=True) for each in found]
    controls = {"untrained": _untrained(study, plans, measured, talk), "exchanged": measured.exchanged}
    return [
        replace(
            each,
            controls={name: claim.judge(quantities, limit).decided for name, quantities in controls.items()},
        )
        for claim, each in zip(study.claims, found, strict=True)
    ]


def _untrained(study: Study, plans: Mapping[str, Plan], measured: Measured, talk: Talk) -> Quantities:
    if measured.untrained is not None:
        return measured.untrained
    if not any(plan.training.epochs for plan in plans.values()):
        return measured.quantities
    talk.say("the same of the untrained networks, as a control")
    measure = MEASURES[study.definition["measure"]]
    return measure(plans, {**study.definition, "epoch": 0}, talk).quantities
