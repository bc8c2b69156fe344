"""Paths between networks, the barriers on them, and when they follow the merged representation."""

from lmc.paths.barriers import barriers
from lmc.paths.cuts import Cut, cuts
from lmc.paths.gap import Block, Gap, blocks, gaps
from lmc.paths.line import interpolate, scan
from lmc.paths.representation import HEADS, merge_representations

__all__ = [
    "HEADS",
    "Block",
    "Cut",
    "Gap",
    "barriers",
    "blocks",
    "cuts",
    "gaps",
    "interpolate",
    "merge_representations",
    "scan",
]
