"""What was shown of a group, and what was not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lmc.symmetry.groups import Axis

CLEAR = 100.0
"""A control is seen where it changes the outputs by this many tolerances."""


@dataclass(frozen=True)
class Proof:
    """A trial of one group's permutations, with its controls. Changes are over the largest output.

    Attributes:
        change: of the outputs, when the group's neurons are permuted; at most ``tolerance``.
        tolerance: up to which outputs count as equal: many times the network's own rounding.
        controls: of the axes tried, the change when all others are permuted and this one is not.
        spread: how far outputs differ between the samples.
        blind: recording points at which permuted neurons could not be told from others.
        precision: the float type it was computed in.
    """

    group: str
    change: float
    tolerance: float
    controls: Mapping[Axis, float]
    spread: float
    blind: tuple[str, ...] = ()
    precision: str = "float64"

    def seen(self, axis: Axis) -> bool:
        """Whether leaving an axis out changed the outputs."""
        return self.controls.get(axis, 0.0) >= CLEAR * self.tolerance

    def proves(self, axis: Axis) -> bool:
        """Whether the trial would have failed without this axis; a single neuron needs no proof."""
        return self.doubt is None and (not self.controls or self.seen(axis))

    @property
    def unseen(self) -> tuple[Axis, ...]:
        """Axes that can be left out without a change: of them nothing was shown."""
        return tuple(axis for axis in self.controls if not self.seen(axis))

    @property
    def doubt(self) -> str | None:
        """Why nothing was proved; None where the group was."""
        if not self.controls:
            return None  # one neuron, and nothing to permute
        if math.isnan(self.tolerance):
            return "the outputs are zero or not finite"
        limit = f"less than {CLEAR * self.tolerance:.1g}, {CLEAR:g} times the network's own noise"
        if self.spread < CLEAR * self.tolerance:
            return f"outputs of different inputs differ by {self.spread:.1g} of the largest, {limit}"
        if not any(map(self.seen, self.controls)):
            most = max(self.controls.values())
            return f"with one tensor left out, outputs change by {most:.1g} of the largest, {limit}"
        if self.blind:
            return f"at {self.blind[0]} its neurons are alike"
        return None
