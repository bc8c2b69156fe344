"""A matching: which neuron of every run takes which slot, and what finding that took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lmc import symmetry
from lmc.matching.evidence import Evidence
from lmc.models.stack import State
from lmc.symmetry import Groups

Permutations = dict[str, Tensor]


@dataclass(frozen=True)
class Matching:
    """The permutations of N runs that bring their neurons into common slots; a pair is N = 2.

    Attributes:
        permutations: one per run, group name to (n,) int64: slot i takes neuron p[i] (B' = B[p]). Where
            the first run is the reference it stays as it is.
        objective: what the matcher maximised, per neuron; NaN where it maximised nothing.
        sweeps: how often the matcher went over all groups.
        seconds: wall clock.
        label: the matcher's name in tables.
    """

    permutations: Sequence[Permutations]
    objective: float = math.nan
    sweeps: int = 0
    seconds: float = math.nan
    label: str = ""

    @property
    def runs(self) -> int:
        """N."""
        return len(self.permutations)

    def applied(self, groups: Groups, states: Sequence[Mapping[str, Tensor]]) -> list[State]:
        """Every run's weights with its neurons in the common slots."""
        return [
            symmetry.apply(groups, own, state) for own, state in zip(self.permutations, states, strict=True)
        ]

    def between(self, a: int, b: int) -> Permutations:
        """The permutation that aligns run b to run a as it is stored."""
        return symmetry.compose(self.permutations[b], symmetry.inverse(self.permutations[a]))

    @property
    def moves(self) -> bool:
        """Whether any neuron of any run changes its place."""
        return any(
            not torch.equal(permutation, torch.arange(len(permutation)))
            for own in self.permutations
            for permutation in own.values()
        )


def match(
    matcher: Callable[..., Matching | Sequence[Permutations]],
    evidence: Evidence,
    settings: Mapping[str, Any],
    label: str,
) -> Matching:
    """Call a matcher, which may return a ``Matching`` or only the permutations, and time it."""
    began = time.perf_counter()
    found = matcher(evidence, **settings)
    matching = found if isinstance(found, Matching) else Matching(found)
    return replace(matching, seconds=time.perf_counter() - began, label=label)
