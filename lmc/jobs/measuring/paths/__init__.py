"""Ways from one network to another: what ``lmc path kind=`` chooses from, one file each."""

from __future__ import annotations

from collections.abc import Callable

from lmc.jobs.measuring.pairwise import PairMeasure
from lmc.jobs.measuring.paths.line import Line
from lmc.jobs.measuring.paths.representation import Representation

__all__ = ["PATHS", "Line", "Representation"]

PATHS: dict[str, Callable[..., PairMeasure]] = {
    "line": Line,
    "representation": Representation,
}
"""Each is made of the settings of ``lmc path``."""
