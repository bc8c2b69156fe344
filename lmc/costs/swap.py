"""What exchanging two neurons costs, and which neurons are identifiable by it (THEORY 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.ratios import relative_swap_cost


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

    @property
    def pairs(self) -> Tensor:
        """Delta of every pair i < j."""
        return off_diagonal(self.delta)

    @property
    def relative(self) -> Tensor:
        """Delta[i, j] / (C[i, i] + C[j, j]) of every pair i < j."""
        rows, columns = torch.triu_indices(len(self.own), len(self.own), offset=1)
        found: Tensor = relative_swap_cost(self.pairs, self.own[rows], self.own[columns])
        return found

    @property
    def cheapest(self) -> Tensor:
        """The cheapest exchange of every neuron with another, (n,)."""
        own = torch.eye(len(self.own), dtype=torch.bool)
        return self.delta.masked_fill(own, torch.inf).amin(dim=1)


def off_diagonal(delta: Tensor) -> Tensor:
    """The entries with i < j of a symmetric (n, n) matrix."""
    rows, columns = torch.triu_indices(len(delta), len(delta), offset=1)
    return delta[rows, columns]


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
