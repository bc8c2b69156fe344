"""Meanings of terms in prose."""

from __future__ import annotations

from lmc.summaries.summary import Summary
from lmc.theory import Explanation


def meanings(found: Explanation, width: int = 80) -> list[Summary]:
    """One per meaning: its title, then lines of at most ``width`` characters."""
    shown = []
    for each in found.meanings:
        title, *lines = each.lines(width)
        shown.append(Summary.of(title, [], *lines))
    return shown
