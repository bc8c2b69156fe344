"""Paths between networks, and the barriers on them."""

from lmc.paths.barriers import barriers
from lmc.paths.line import interpolate, scan

__all__ = ["barriers", "interpolate", "scan"]
