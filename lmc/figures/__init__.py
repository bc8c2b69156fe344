"""Figures: each a pure function of tables. ``FIGURES`` says which are drawn from stored tables alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lmc.figures import barriers, costs, dynamics, gap, history, layers, path, representation

__all__ = ["FIGURES", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of figure: what it shows, the function, and the tables that it takes.

    The first table must have rows, the others may be empty. ``course``: whether it shows all stored epochs.
    """

    title: str
    draw: Callable[..., Any]
    tables: tuple[str, ...]
    course: bool = False


FIGURES: dict[str, Kind] = {
    "barrier": Kind("Loss barriers, without alignment and with it", barriers.draw, ("barrier",)),
    "path": Kind("Loss on the line between pairs of runs", path.draw, ("path",)),
    "gap": Kind("What keeps the line from the merged representations, layer by layer", gap.draw, ("gap",)),
    "representation": Kind(
        "Loss of merged representations, layer by layer", representation.draw, ("representation",)
    ),
    "match": Kind("How identifiable the neurons are, layer by layer", layers.draw_match, ("match",)),
    "layer": Kind("Coherence and anisotropy, layer by layer", layers.draw_layer, ("layer",)),
    "swap": Kind("Swap costs of pairs of neurons", costs.draw_stored, ("swap",)),
    "dynamics": Kind("Runs over their stored epochs", dynamics.draw, ("dynamics", "match", "barrier"), True),
    "history": Kind("Training: loss and accuracy by epoch", history.draw, ("history",), True),
}
