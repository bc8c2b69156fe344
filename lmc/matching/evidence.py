"""What a matcher may look at: similarities and swap costs of N runs, group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from lmc.costs import SwapCost
from lmc.symmetry import Groups


@dataclass(frozen=True)
class Evidence:
    """N runs of one architecture, prepared for matching to the first, measured as the matcher declares.

    Attributes:
        groups: what may permute.
        states: each run's effective weights.
        similarity: (a, b, group name) to (n, n), neuron of run a by neuron of run b.
        costs_of: gives, by group name, one SwapCost per run, or None where costs are undefined; called when
            a matcher asks for ``costs``, as similarities alone need none.
    """

    groups: Groups
    states: Sequence[Mapping[str, Tensor]]
    similarity: Callable[[int, int, str], Tensor]
    costs_of: Callable[[], Mapping[str, Sequence[SwapCost] | None]]

    @cached_property
    def costs(self) -> Mapping[str, Sequence[SwapCost] | None]:
        """Swap costs by group, computed once."""
        return self.costs_of()

    @property
    def runs(self) -> int:
        """N."""
        return len(self.states)
