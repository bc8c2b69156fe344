"""Which neurons are identifiable: by cost and in fact (THEORY 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.seeds import generator
from lmc.matching.assignment import objective
from lmc.matching.blocks import match_family
from lmc.symmetry import Group, random

RANDOM_PERMUTATIONS = 100


@dataclass(frozen=True)
class SwapCost:
    """What exchanging two neurons adds in one run: ``delta`` (n, n), against ``own`` C[i, i] (n,)."""

    delta: Tensor
    own: Tensor

    def at(self, places: Tensor) -> SwapCost:
        """Of the neurons at ``places`` (copies, n) of a layer, exchanged in all copies."""
        return SwapCost(
            torch.stack([self.delta[copy][:, copy] for copy in places]).sum(dim=0),
            torch.stack([self.own[copy] for copy in places]).sum(dim=0),
        )


def total(neurons: int, costs: Sequence[SwapCost]) -> SwapCost:
    """The cost of exchanging neurons in every layer that owns them; without one, nothing."""
    nothing = torch.zeros(neurons, neurons, dtype=torch.float64)
    return SwapCost(
        sum((cost.delta for cost in costs), nothing), sum((cost.own for cost in costs), nothing[0])
    )


def admissible(costs: Sequence[SwapCost], tau: float = 1.0) -> Tensor:
    """Pairs (i, j) cheap to exchange in every run: Delta[i, j] <= tau (C[i, i] + C[j, j]), (n, n) bool.

    ``tau`` weighs the exchange against what training paid for the two neurons. i with itself always is.
    """
    n = len(costs[0].own)
    allowed = torch.ones(n, n, dtype=torch.bool)
    for cost in costs:
        allowed &= cost.delta <= tau * (cost.own[:, None] + cost.own[None, :])
    return allowed | torch.eye(n, dtype=torch.bool)


def identifiable(allowed: Tensor) -> Tensor:
    """Neurons without an admissible partner, (n,) bool: identifiable by cost."""
    return allowed.sum(dim=1) == 1


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
class Objective:
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


def objectives(similarity: Tensor, group: Group) -> Objective:
    """Mean similarity (n, n) along the optimal, the identity and random permutations of a group."""
    draw = generator("random permutations", group.size)
    randoms = [random([group], draw)[group.name] for _ in range(RANDOM_PERMUTATIONS)]
    values = torch.tensor([objective(similarity, each) for each in randoms], dtype=torch.float64)
    return Objective(
        objective(similarity, match_family([group], [similarity], [None])[group.name]),
        objective(similarity, torch.arange(group.size)),
        float(values.mean()),
        float(values.std()),
    )
