"""Matching many runs by similarity: every run to the first, or each to the mean of the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from lmc import symmetry
from lmc.matching.blocks import match_family
from lmc.matching.evidence import Evidence
from lmc.matching.matching import Matching, Permutations
from lmc.matching.needs import Reference
from lmc.symmetry import Group, families

Admissible = Callable[[Sequence[int], Group], Tensor | None]
"""From some runs and a group the pairs allowed in all of them, (n, n) bool; None allows all."""
_SWEEPS = 100
_RISE = 1e-9


def match_runs(evidence: Evidence, admissible: Admissible, reference: Reference) -> Matching:
    """Permutations of N runs of great similarity; of two runs, the greatest.

    With ``first`` every run is matched to the first, so another order of the runs gives another matching.
    With ``mean`` each run in turn is matched to the mean of the others as they lie, until none moves: an
    ascent on the mean similarity over all pairs (arXiv 2209.04836, algorithm 3, by activations). It begins
    at the run that is most similar to all others, so the order does not count. It ends where no single run
    can be moved, which need not be the best for all: with three runs the problem is hard. The slots are the
    first run's places either way.
    """
    aligned: list[Permutations] = [{} for _ in range(evidence.runs)]
    worth, neurons, sweeps = 0.0, 0, 1
    for family in families(evidence.groups):
        pool = _Pool(evidence, family, admissible)
        if reference == "first" or evidence.runs < 3:
            found, pairs = pool.to(0, lambda run: [0, run]), [(0, run) for run in range(1, evidence.runs)]
        else:
            found, taken = pool.to_mean()
            sweeps, pairs = max(sweeps, taken), list(combinations(range(evidence.runs), 2))
        worth += pool.worth(found, pairs)
        neurons += len(pairs) * sum(group.size for group in family)
        for own, part in zip(aligned, found, strict=True):
            own |= part
    back = symmetry.inverse(aligned[0])
    placed = [symmetry.compose(own, back) for own in aligned]
    return Matching(placed, worth / neurons if neurons else math.nan, sweeps)


@dataclass(frozen=True)
class _Pool:
    """The groups of a family in all runs."""

    evidence: Evidence
    family: Sequence[Group]
    admissible: Admissible

    def to(self, hub: int, together: Callable[[int], Sequence[int]]) -> list[Permutations]:
        """Every run matched to one, by pairs allowed in the runs that ``together`` names."""
        identity = {group.name: torch.arange(group.size) for group in self.family}
        return [
            identity
            if run == hub
            else self._best([self._alike(hub, run, group) for group in self.family], together(run))
            for run in range(self.evidence.runs)
        ]

    def to_mean(self) -> tuple[list[Permutations], int]:
        """Every run matched to the mean of the others, until none moves; and the sweeps that took."""
        runs = list(range(self.evidence.runs))
        starts = {hub: self.to(hub, lambda _: runs) for hub in runs}
        near = {
            hub: self.worth(start, [(hub, run) for run in runs if run != hub])
            for hub, start in starts.items()
        }
        order = sorted(runs, key=lambda hub: -near[hub])
        found, sweeps, rise = list(starts[order[0]]), 0, math.inf
        reached = self.worth(found, combinations(runs, 2))
        while sweeps < _SWEEPS and rise > _RISE * abs(reached):
            for run in order:
                others = [self._mean_alike(found, run, group) for group in self.family]
                found[run] = self._best(others, runs)
            before, reached, sweeps = reached, self.worth(found, combinations(runs, 2)), sweeps + 1
            rise = reached - before
        return found, sweeps

    def worth(self, found: Sequence[Permutations], pairs: Iterable[tuple[int, int]]) -> float:
        """Total similarity along permutations, over neurons and pairs."""
        total = 0.0
        for a, b in pairs:
            for group in self.family:
                first, second = found[a][group.name], found[b][group.name]
                total += float(self._alike(a, b, group).double()[first, second].sum())
        return total

    def _alike(self, a: int, b: int, group: Group) -> Tensor:
        if a < b:
            return self.evidence.similarity(a, b, group.name)
        return self.evidence.similarity(b, a, group.name).T

    def _mean_alike(self, found: Sequence[Permutations], run: int, group: Group) -> Tensor:
        """(n, n): the neurons of the others as they lie, by those of a run."""
        others = [
            self._alike(other, run, group).double()[own[group.name]]
            for other, own in enumerate(found)
            if other != run
        ]
        return torch.stack(others).mean(dim=0)

    def _best(self, alike: Sequence[Tensor], runs: Sequence[int]) -> Permutations:
        return match_family(self.family, alike, [self.admissible(runs, group) for group in self.family])
