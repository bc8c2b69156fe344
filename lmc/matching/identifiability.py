"""Which neurons are identified in fact, and how well the identity matches (THEORY 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.seeds import generator
from lmc.matching.assignment import objective
from lmc.matching.blocks import match_family
from lmc.symmetry import Group, random

RANDOM_PERMUTATIONS = 100


def margins(similarity: Tensor) -> Tensor:
    """similarity[i, i] minus the runner-up in row and column i, (n,). Positive: identified in fact."""
    own = similarity.diagonal()
    if len(own) == 1:
        return own.clone()
    others = similarity.masked_fill(torch.eye(len(own), dtype=torch.bool), -torch.inf)
    return own - others.amax(dim=1).maximum(others.amax(dim=0))


def mutual(similarity: Tensor, permutation: Tensor) -> Tensor:
    """Whether neuron i and its partner are each other's most similar, (n,) bool."""
    place = torch.arange(len(permutation))
    return (similarity.argmax(dim=1) == permutation) & (similarity.argmax(dim=0)[permutation] == place)


@dataclass(frozen=True)
class MatchingObjective:
    """The matching objective along the best, the identity and 100 random permutations."""

    optimal: float
    identity: float
    random: float
    random_sd: float

    @property
    def ratio(self) -> float:
        """(identity - random) / (optimal - random); NaN where they are equal."""
        span = self.optimal - self.random
        return (self.identity - self.random) / span if abs(span) > 1e-12 else float("nan")


def objectives(similarity: Tensor, group: Group) -> MatchingObjective:
    """Mean similarity (n, n) along the optimal, the identity and random permutations of a group."""
    draw = generator("random permutations", group.size)
    randoms = [random([group], draw)[group.name] for _ in range(RANDOM_PERMUTATIONS)]
    values = torch.tensor([objective(similarity, each) for each in randoms], dtype=torch.float64)
    return MatchingObjective(
        objective(similarity, match_family([group], [similarity], [None])[group.name]),
        objective(similarity, torch.arange(group.size)),
        float(values.mean()),
        float(values.std()),
    )
