"""What a matcher may look at: similarities and swap costs of N runs, group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from lmc.matching.blocks import match_family
from lmc.matching.identifiability import SwapCost
from lmc.symmetry import Group, Groups, families

Permutations = dict[str, Tensor]


@dataclass(frozen=True)
class Evidence:
    """N runs of one architecture, prepared for matching to the first.

    Attributes:
        groups: what may permute.
        states: each run's effective weights.
        similarity: (a, b, group name) to (n, n), neuron of run a by neuron of run b.
        costs_of: gives, by group name, one SwapCost a run, or None where costs are undefined; called when a
            matcher asks for ``costs``, as similarities alone need none.
    """

    groups: Groups
    states: Sequence[Mapping[str, Tensor]]
    similarity: Callable[[int, int, str], Tensor]
    costs_of: Callable[[], Mapping[str, Sequence[SwapCost] | None]]

    @cached_property
    def costs(self) -> Mapping[str, Sequence[SwapCost] | None]:
        """Swap costs by group, computed once."""
        return self.costs_of()

    def align(self, admissible: Callable[[int, Group], Tensor | None]) -> list[Permutations]:
        """For every run the permutation of greatest similarity to the first.

        Args:
            admissible: from a run and a group the pairs allowed, (n, n) bool; None allows all.
        """
        aligned: list[Permutations] = [self.groups.identity()]
        for run in range(1, self.runs):
            permutations: Permutations = {}
            for family in families(self.groups):
                alike = [self.similarity(0, run, group.name) for group in family]
                permutations |= match_family(family, alike, [admissible(run, group) for group in family])
            aligned.append(permutations)
        return aligned

    @property
    def runs(self) -> int:
        """N."""
        return len(self.states)
