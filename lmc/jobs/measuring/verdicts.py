"""What decides whether runs can be averaged, as the table ``check`` (THEORY 4)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmc.core.pairing import run_pairs
from lmc.core.ratios import relative_swap_cost
from lmc.core.schema import frame
from lmc.core.statistics import Estimate, estimate, ratio
from lmc.jobs.measuring.gains import Gain, Gains
from lmc.jobs.measuring.judging import ALIGNED, Finding, Limits, judge
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


def judged(settings: Check, tables: Tables, gained: Gains) -> list[Judged]:
    """The verdict on every experiment, from the tables of all pairs and what every run gained."""
    limits = Limits(settings.low, settings.identifiable)
    found = []
    for title, part in by_experiments(tables["barrier"]):
        which = {key: str(part[key].iloc[0]) for key in ("experiment_a", "experiment_b")}
        own = {kind: _of(table, which) for kind, table in tables.items()}
        ends = _ends(part, gained)
        numbers = {
            **_barrier_quantities(own["barrier"], settings.split, ends),
            **_neuron_quantities(own["match"]),
        }
        finding = judge(numbers, list(ends.values()), limits, bool(len(own["match"])))
        gaps = _gap_quantities(own["gap"])
        numbers.update({name: value for name, (_, value) in gaps.items()})
        where = {name: layer for name, (layer, _) in gaps.items()}
        notes = (_reasons(finding, own["gap"]), over_pairs(part))
        found.append(Judged(title, which, len(ends), finding, numbers, where, notes))
    return found


def _reasons(finding: Finding, gap: pd.DataFrame) -> str:
    unaligned = gap[gap["match"] == "none"]
    if not len(unaligned):
        return finding.sentence
    return f"{finding.sentence}; without alignment, {leaving(unaligned)}"


def _ends(table: pd.DataFrame, gained: Gains) -> dict[tuple[Hashable, Hashable], tuple[Gain, Gain]]:
    """The two runs of every pair of a table."""
    return {(key[:3], key[3:]): (gained[key[:3]], gained[key[3:]]) for key in _keys(table)}


def _keys(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table[list(_RUNS)].itertuples(index=False, name=None))


def check_table(found: list[Judged]) -> pd.DataFrame:
    """The table ``check``."""
    return frame("check", [row for each in found for row in each.rows()])


def _of(table: pd.DataFrame, which: Mapping[str, str]) -> pd.DataFrame:
    for key, name in which.items():
        table = table[table[key] == name]
    return table


def _barrier_quantities(
    barriers: pd.DataFrame, split: str, ends: Mapping[tuple[Hashable, Hashable], tuple[Gain, Gain]]
) -> dict[str, Estimate]:
    """Loss, gain and barriers; these also as shares of the gain, as ratios of sums over pairs."""
    loss = {pair: (a.loss + b.loss) / 2 for pair, (a, b) in ends.items()}
    gain = {pair: (a.gained + b.gained) / 2 for pair, (a, b) in ends.items()}
    pairs = list(ends)
    found = {"loss": estimate(loss.values(), pairs), "gained": estimate(gain.values(), pairs)}
    relative: dict[str, Estimate] = {}
    for match in ("none", *ALIGNED):
        part = barriers[(barriers["split"] == split) & (barriers["match"] == match)]
        values, runs = part["loss_barrier"], [(key[:3], key[3:]) for key in _keys(part)]
        found[f"barrier_{match}"] = estimate(values, runs)
        relative[f"relative_{match}"] = ratio(values, [gain[pair] for pair in runs], runs)
    return {**found, **relative}


def _neuron_quantities(matched: pd.DataFrame) -> dict[str, Estimate]:
    """How identifiable the neurons are: shares of neurons, and means over layers.

    Neurons of layers whose costs are undefined count in no share by cost. Empty where nothing permutes.
    """
    if not len(matched):
        return {}
    costed = matched["own_cost"].notna()
    by_pair = matched.assign(
        relative=relative_swap_cost(matched["swap_cost"], matched["own_cost"], matched["own_cost"]),
        costed=matched["neurons"].where(costed, 0),
        identifiable=matched["identifiable"].where(costed, 0),
    )
    groups = by_pair.groupby(list(_RUNS), as_index=False, sort=False)
    sums = groups[["neurons", "costed", "identifiable", "identified"]].sum()
    means = groups[["identifiability_ratio", "relative"]].mean()
    pairs = run_pairs(sums)
    return {
        "identifiable": ratio(sums["identifiable"], sums["costed"], pairs),
        "identified": ratio(sums["identified"], sums["neurons"], pairs),
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
