"""Matching every run to the first by similarity, where all pairs or some may be exchanged."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lmc.matching.assignment import objective
from lmc.matching.blocks import match_family
from lmc.matching.evidence import Evidence
from lmc.matching.matching import Matching, Permutations
from lmc.symmetry import Group, families


def to_first(evidence: Evidence, admissible: Callable[[int, Group], Tensor | None]) -> Matching:
    """For every run the permutation of greatest similarity to the first.

    Args:
        admissible: from a run and a group the pairs allowed, (n, n) bool; None allows all.
    """
    aligned: list[Permutations] = [evidence.groups.identity()]
    reached, neurons = 0.0, 0
    for run in range(1, evidence.runs):
        permutations: Permutations = {}
        for family in families(evidence.groups):
            alike = [evidence.similarity(0, run, group.name) for group in family]
            found = match_family(family, alike, [admissible(run, group) for group in family])
            permutations |= found
            for group, own in zip(family, alike, strict=True):
                reached += objective(own, found[group.name]) * group.size
                neurons += group.size
        aligned.append(permutations)
    return Matching(aligned, reached / neurons if neurons else float("nan"), sweeps=1)
