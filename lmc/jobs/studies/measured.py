"""What a measure hands back, and how it opens the runs of a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmc.core.statistics import Estimate
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.opening.pairs import PairSet, make_pairs
from lmc.jobs.opening.runs import Opened
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.talk import Talk
from lmc.store.experiments import Run
from lmc.summaries import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Quantities = dict[tuple[str, str, str], Estimate]
Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """Tables by kind, quantities that claims use, a table for people, and the figure."""

    tables: dict[str, pd.DataFrame]
    quantities: Quantities
    summary: Summary
    figure: Figure


def pair_set(plan: Plan, definition: Definition) -> PairSet:
    """The runs of a case at their last epoch, paired as the experiment says."""
    opened = [Opened(run, plan.training.epochs) for run in plan.runs]
    moved = {"path": plan.settings.data["path"]} if plan.settings.data.get("path") else {}
    return make_pairs(opened, definition.get("pairs", "disjoint"), False, moved)


def lineup(plan: Plan, definition: Definition, talk: Talk) -> Lineup:
    """The runs of a case, ready to be matched."""
    device = use_device(plan.settings.device, plan.settings.threads)
    return Lineup.of(pair_set(plan, definition), device, talk)


def runs_of(plans: Mapping[str, Plan]) -> list[Run]:
    """The stored runs of all cases."""
    return [run for plan in plans.values() for run in plan.runs]


def runs_per_case(plans: Mapping[str, Plan]) -> int:
    """How many runs the first case has."""
    return len(next(iter(plans.values())).seeds)


def named_by_case(table: pd.DataFrame, plans: Mapping[str, Plan]) -> pd.DataFrame:
    """A table of pairs that calls experiments by their cases."""
    cases = {plan.experiment.name: case for case, plan in plans.items()}
    return table.assign(**{name: table[name].map(cases) for name in ("experiment_a", "experiment_b")})
