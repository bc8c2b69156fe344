"""Which neurons are identifiable, by cost and in fact, pair by pair (THEORY 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc.core.schema import concatenate, frame
from lmc.costs import SwapCost, admissible, identifiable
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.aligning.pair import Aligned
from lmc.jobs.measuring.layers import layer_row
from lmc.jobs.measuring.paths.line import Line
from lmc.jobs.opening.runs import pair_columns
from lmc.jobs.protocol.talk import Bar
from lmc.matching.blocks import reachable
from lmc.matching.identifiability import margins, mutual, objectives
from lmc.symmetry import Group

if TYPE_CHECKING:
    import pandas as pd

TAUS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def match_tables(lineup: Lineup, matcher: Matcher) -> dict[str, pd.DataFrame]:
    """The tables ``match``, ``neuron`` and ``layer`` of every pair of a lineup."""
    layers: list[dict[str, Any]] = []
    neurons: list[dict[str, Any]] = []
    for a, b in lineup.pairs:
        moves = lineup.matching(matcher, [a, b]).between(0, 1)
        for group in lineup.compared:
            found = _Compared(lineup, matcher, a, b, group, moves[group.name])
            layers.append(found.match_row())
            neurons += found.neuron_rows()
    recorded = lineup.measured.layers(matcher.needs.ratio)
    places = sorted(recorded, key=lambda place: place[0])
    rows = [layer_row(lineup.runs[place[0]], recorded[place]) for place in places]
    return {
        "match": frame("match", layers),
        "neuron": frame("neuron", neurons),
        "layer": frame("layer", rows),
    }


class _Compared:
    """One group of one pair under one matcher."""

    def __init__(
        self, lineup: Lineup, matcher: Matcher, a: int, b: int, group: Group, permutation: Tensor
    ) -> None:
        self.group, self.permutation = group, permutation
        self.which = {
            **pair_columns(lineup.runs[a], lineup.runs[b]),
            "match": matcher.label,
            "group": group.name,
            "layer": (group.layers or (group.name,))[0],
        }
        measured, needs = lineup.measured, matcher.needs
        self.similarity = measured.similarity(a, b, group.name, needs)
        self.constants = [measured.constant(run, group.name, needs) for run in (a, b)]
        self.margin = margins(self.similarity)
        self.identified = (self.margin > 0) & ~self.constants[0] & ~self.constants[1]
        costs = measured.costs(needs)[group.name]
        self.costs: list[SwapCost] | None = None if costs is None else [costs[a], costs[b]]
        self.allowed = torch.zeros(group.size, group.size, dtype=torch.bool)
        self.by_cost = torch.zeros(group.size, dtype=torch.bool)
        if self.costs is not None:
            self.allowed = reachable(group, admissible(self.costs, needs.tau))
            self.by_cost = identifiable(self.allowed)

    @property
    def along(self) -> Tensor:
        """Similarity of every neuron with its partner, (n,)."""
        return self.similarity[torch.arange(self.group.size), self.permutation]

    def match_row(self) -> dict[str, Any]:
        """A row of the table ``match``."""
        found = objectives(self.similarity, self.group)
        swap = own = float("nan")
        if self.costs is not None:
            others = ~torch.eye(self.group.size, dtype=torch.bool)
            swap = float(torch.stack([cost.delta[others].mean() for cost in self.costs]).mean())
            own = float(torch.stack([cost.own.mean() for cost in self.costs]).mean())
        return {
            **self.which,
            "neurons": self.group.size,
            "similarity": float(self.along.mean()),
            "optimal": found.optimal,
            "identity": found.identity,
            "random": found.random,
            "random_sd": found.random_sd,
            "identifiability_ratio": found.ratio,
            "identifiable": int(self.by_cost.sum()),
            "fixed_points": int((self.permutation == torch.arange(self.group.size)).sum()),
            "constant_a": int(self.constants[0].sum()),
            "constant_b": int(self.constants[1].sum()),
            "identified": int(self.identified.sum()),
            "swap_cost": swap,
            "own_cost": own,
        }

    def neuron_rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the table ``neuron``."""
        nan = torch.full((self.group.size,), torch.nan, dtype=torch.float64)
        cheapest = [nan, nan] if self.costs is None else [cost.cheapest for cost in self.costs]
        columns = {
            "neuron": torch.arange(self.group.size),
            "partner": self.permutation,
            "similarity": self.along,
            "identity_similarity": self.similarity.diagonal(),
            "margin": self.margin,
            "mutual": mutual(self.similarity, self.permutation),
            "admissible": self.allowed.sum(dim=1) - self.allowed.diagonal().long(),
            "swap_cost_a": cheapest[0],
            "swap_cost_b": cheapest[1],
            "identifiable": self.by_cost,
            "identified": self.identified,
        }
        values = {name: column.tolist() for name, column in columns.items()}
        for place in range(self.group.size):
            yield {**self.which, **{name: values[name][place] for name in values}}


def tau_table(lineup: Lineup, matcher: Matcher, line: Line, bar: Bar) -> pd.DataFrame:
    """Share of neurons moved and test barrier over tau, pair by pair (table ``tau``)."""
    rows = []
    for a, b in lineup.pairs:
        for tau in TAUS:
            other = matcher.with_settings(tau=tau)
            moves = lineup.matching(other, [a, b]).between(0, 1)
            still = sum(int((p == torch.arange(len(p))).sum()) for p in moves.values())
            path = line.of(Aligned.of(lineup, a, b, other))
            barriers = line.derived(path)["barrier"].set_index("split")["loss_barrier"]
            rows.append(
                {
                    **pair_columns(lineup.runs[a], lineup.runs[b]),
                    "match": matcher.label,
                    "tau": tau,
                    "share_moved": 1 - still / sum(map(len, moves.values())),
                    "loss_barrier": float(barriers.get("test", float("nan"))),
                }
            )
            bar.advance()
    return frame("tau", rows)


def all_match_tables(lineups: list[Lineup], matcher: Matcher) -> dict[str, pd.DataFrame]:
    """The tables of all lineups."""
    parts = [match_tables(lineup, matcher) for lineup in lineups]
    return {kind: concatenate(kind, [part[kind] for part in parts]) for kind in ("match", "neuron", "layer")}
