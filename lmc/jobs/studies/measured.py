"""What a measure hands back, and how it opens the runs of a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmc.core.statistics import Estimate
from lmc.jobs.aligning.lineup import Lineup, Matcher
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.pairs import PairSet, make_pairs
from lmc.jobs.opening.runs import Opened
from lmc.jobs.planning.plan import Plan
from lmc.summaries import Summary
from lmc.jobs.protocol.talk import Talk

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Quantities = dict[tuple[str, str, str], Estimate]
Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """Tables by kind, quantities that claims speak of, a table for people, and the figure."""

    tables: dict[str, pd.DataFrame]
    quantities: Quantities
    summary: Summary
    figure: Figure


def pair_set(plan: Plan, definition: Definition) -> PairSet:
    """The runs of a case at their last epoch, paired as the experiment says."""
    opened = [Opened(plan.experiment.run(seed), plan.training.epochs) for seed in plan.seeds]
    moved = {"path": plan.settings.data["path"]} if plan.settings.data.get("path") else {}
    return make_pairs(opened, definition.get("pairs", "disjoint"), False, moved)


def lineup(plan: Plan, definition: Definition, matcher: Matcher, talk: Talk) -> Lineup:
    """The runs of a case, ready to be matched."""
    device = use_device(plan.settings.device, plan.settings.threads)
    return pair_set(plan, definition).lineup(matcher, device, talk)


def interval_note(runs: int, what: str) -> str:
    """How many runs a table rests on."""
    return f"{runs} runs a case; {what}; mean [95 % bootstrap], or the values below three"
