"""What a measure hands back, and how it opens the runs of a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmc.core.statistics import Estimate, estimate, paired
from lmc.data import Dataset
from lmc.data.chance import chance
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.pair import named_split
from lmc.jobs.opening.pairs import PairSet, make_pairs
from lmc.jobs.opening.rows import histories
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
    """Tables by kind, quantities that claims use, a table for people, and the figure.

    Attributes:
        exchanged: the quantities that come out where every case has another case's numbers.
        untrained: those at the initialisation, where measuring has found them on the way.
    """

    tables: dict[str, pd.DataFrame]
    quantities: Quantities
    summary: Summary
    figure: Figure
    exchanged: Quantities
    untrained: Quantities | None = None


def pair_set(plan: Plan, definition: Definition) -> PairSet:
    """The runs of a case at their last epoch, or at ``epoch``, paired as the experiment says."""
    opened = [Opened(run, epoch_of(plan, definition)) for run in plan.runs]
    moved = {"path": plan.settings.data["path"]} if plan.settings.data.get("path") else {}
    return make_pairs(opened, definition.get("pairs", "disjoint"), False, moved)


def epoch_of(plan: Plan, definition: Definition) -> int:
    """The epoch at which a case is measured."""
    return int(definition.get("epoch", plan.training.epochs))


def lineup(plan: Plan, definition: Definition, talk: Talk) -> Lineup:
    """The runs of a case, ready to be matched."""
    device = use_device(plan.settings.device, plan.settings.threads)
    return Lineup.of(pair_set(plan, definition), device, talk)


def learnt(case: str, plan: Plan, definition: Definition, dataset: Dataset) -> Quantities:
    """Quantity ``case:learnt:split``: the share of a constant output's loss that training removed."""
    split = definition.get("split", "test")
    constant = chance(dataset, named_split(dataset, split))
    history = histories(plan.runs)
    at = history[(history["epoch"] == epoch_of(plan, definition)) & (history["split"] == split)]
    return {(case, "learnt", split): estimate(1 - at["loss"] / constant, paired(at))}


def exchanged(found: Quantities, cases: Iterable[str]) -> Quantities:
    """The same quantities with the cases' names in reverse: what no claim about cases should survive."""
    listed = list(cases)
    other = dict(zip(listed, reversed(listed), strict=True))
    return {(other.get(case, case), name, detail): value for (case, name, detail), value in found.items()}


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
