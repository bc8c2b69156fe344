"""Merge several networks into one. A merger takes aligned runs and returns their merged weights."""

from __future__ import annotations

from collections.abc import Callable

from lmc.merging.material import Material, Merged
from lmc.merging.mean import mean
from lmc.merging.representation import representation

__all__ = ["GIVEN", "MERGERS", "Material", "Merged"]

MERGERS: dict[str, Callable[..., Merged]] = {"mean": mean, "representation": representation}

GIVEN = ("material",)
"""What a merger may look at: aligned weights, the network, its training inputs, the common constraint."""
