"""What decides whether runs can be averaged, as the table ``check`` (THEORY 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmc.core.errors import LmcError
from lmc.core.pairing import run_pairs
from lmc.core.schema import frame
from lmc.core.statistics import Estimate, estimate
from lmc.data.chance import chance
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.pair import named_split
from lmc.jobs.measuring.judging import ALIGNED, Finding, judge
from lmc.jobs.measuring.pairwise import Tables
from lmc.jobs.protocol.commands.running import Check
from lmc.summaries import Summary
from lmc.summaries.gaps import leaving
from lmc.summaries.summary import by_experiments, over_pairs
from lmc.summaries.verdicts import verdict

if TYPE_CHECKING:
    import pandas as pd

WHOLE = "*"
_RUNS = ("experiment_a", "seed_a", "epoch_a", "experiment_b", "seed_b", "epoch_b")


@dataclass(frozen=True)
class Judged:
    """The verdict on the pairs of one experiment, or of two, with every number behind it.

    ``layers``: where the quantities lie that are the largest over layers.
    """

    title: str
    which: Mapping[str, str]
    pairs: int
    finding: Finding
    found: Mapping[str, Estimate]
    layers: Mapping[str, str]
    notes: tuple[str, str]

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the table ``check``."""
        finding = self.finding
        about = {"verdict": finding.verdict, "certain": finding.certain, "pairs": self.pairs}
        return [
            {
                **self.which,
                **about,
                "quantity": name,
                "layer": self.layers.get(name, WHOLE),
                "mean": value.mean,
                "low": value.low,
                "high": value.high,
            }
            for name, value in self.found.items()
        ]

    def summary(self) -> Summary:
        """The verdict in words."""
        return verdict(f"{self.title}: {self.finding.verdict}", self.found, self.layers, *self.notes)


def constant_losses(lineups: list[Lineup], split: str) -> dict[tuple[str, str], float]:
    """For every two experiments that are compared, the loss of the best constant prediction."""
    found = {}
    for lineup in lineups:
        for a, b in lineup.pairs:
            names = (lineup.runs[a].run.experiment.name, lineup.runs[b].run.experiment.name)
            found[names] = chance(lineup.dataset, named_split(lineup.dataset, split))
    return found


def judged(settings: Check, tables: Tables, constants: Mapping[tuple[str, str], float]) -> list[Judged]:
    """The verdict on every experiment, from the tables of all pairs.

    Raises:
        LmcError: training gained nothing on a constant prediction, so there is nothing to judge by.
    """
    found = []
    for title, part in by_experiments(tables["match"]):
        which = {key: str(part[key].iloc[0]) for key in ("experiment_a", "experiment_b")}
        own = {kind: _of(table, which) for kind, table in tables.items()}
        constant = constants[which["experiment_a"], which["experiment_b"]]
        numbers = _quantities(own, settings.split, constant)
        if not numbers["gained"].mean > 0:
            loss = numbers["loss"].mean
            raise LmcError(
                f"{title}: loss {loss:.3g} on {settings.split}, {constant:.3g} of a constant output",
                "barriers are judged by what training gained",
            )
        finding = judge(numbers, settings.low, settings.identifiable)
        gaps = _gap_quantities(own["gap"])
        numbers.update({name: value for name, (_, value) in gaps.items()})
        where = {name: layer for name, (layer, _) in gaps.items()}
        breaks = leaving(own["gap"][own["gap"]["match"] == "none"])
        notes = (f"{finding.sentence}; without alignment, {breaks}", over_pairs(part))
        pairs = len(set(run_pairs(part)))
        found.append(Judged(title, which, pairs, finding, numbers, where, notes))
    return found


def check_table(found: list[Judged]) -> pd.DataFrame:
    """The table ``check``."""
    return frame("check", [row for each in found for row in each.rows()])


def _of(table: pd.DataFrame, which: Mapping[str, str]) -> pd.DataFrame:
    for key, name in which.items():
        table = table[table[key] == name]
    return table


def _quantities(tables: Tables, split: str, constant: float) -> dict[str, Estimate]:
    path = tables["path"]
    ends = path[(path["split"] == split) & (path["match"] == "none") & path["alpha"].isin([0.0, 1.0])]
    loss = ends.groupby(list(_RUNS), as_index=False, sort=False)[["loss"]].mean()
    gain = constant - loss["loss"].to_numpy()
    found = {
        "loss": estimate(loss["loss"], run_pairs(loss)),
        "gained": estimate(gain, run_pairs(loss)),
    }
    barriers = tables["barrier"]
    relative: dict[str, Estimate] = {}
    for match in ("none", *ALIGNED):
        part = barriers[(barriers["split"] == split) & (barriers["match"] == match)]
        found[f"barrier_{match}"] = estimate(part["loss_barrier"], run_pairs(part))
        relative[f"relative_{match}"] = estimate(part["loss_barrier"].to_numpy() / gain, run_pairs(part))
    return {**found, **relative, **_neuron_quantities(tables["match"])}


def _neuron_quantities(matched: pd.DataFrame) -> dict[str, Estimate]:
    """How identifiable the neurons are: shares of all neurons, and means over layers."""
    by_pair = matched.assign(relative=matched["swap_cost"] / (2 * matched["own_cost"]))
    groups = by_pair.groupby(list(_RUNS), as_index=False, sort=False)
    sums = groups[["neurons", "identifiable", "identified"]].sum()
    means = groups[["identifiability_ratio", "relative"]].mean()
    pairs = run_pairs(sums)
    costed = matched["own_cost"].notna().any()
    by_cost = sums["identifiable"] / sums["neurons"] if costed else sums["neurons"] * float("nan")
    return {
        "identifiable": estimate(by_cost, pairs),
        "identified": estimate(sums["identified"] / sums["neurons"], pairs),
        "identifiability_ratio": estimate(means["identifiability_ratio"], pairs),
        "relative_swap_cost": estimate(means["relative"], pairs),
    }


def _gap_quantities(gap: pd.DataFrame) -> dict[str, tuple[str, Estimate]]:
    """Cross term and feature gap where they are largest in the mean over pairs, by matcher."""
    found = {}
    for name in ("cross_term", "feature_gap"):
        for match in ("none", *ALIGNED):
            part = gap[(gap["match"] == match) & gap[name].notna()]
            if not len(part):
                continue
            means = part.groupby("layer", sort=False)[[name]].mean()
            layer = str(means.index[int(means[name].to_numpy().argmax())])
            at = part[part["layer"] == layer]
            found[f"{name}_{match}"] = (layer, estimate(at[name], run_pairs(at)))
    return found
