"""Paths between networks, the barriers on them, and when they follow the merged representation."""

from lmc.paths.barriers import barriers
from lmc.paths.cuts import Cut, cuts
from lmc.paths.gap import Gap, Segment, gaps, segments
from lmc.paths.line import Line, interpolate
from lmc.paths.representation import HEADS, merge_representations
from lmc.paths.scene import Curve, Scene, scan

__all__ = [
    "HEADS",
    "Curve",
    "Cut",
    "Gap",
    "Line",
    "Scene",
    "Segment",
    "barriers",
    "cuts",
    "gaps",
    "interpolate",
    "merge_representations",
    "scan",
    "segments",
]
