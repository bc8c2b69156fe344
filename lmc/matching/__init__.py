"""Aligning neurons. A matcher takes the evidence of N runs and returns their ``Matching``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmc.matching.activation import activation
from lmc.matching.assignment import match_activations
from lmc.matching.by_identifiability import identifiability
from lmc.matching.evidence import Evidence
from lmc.matching.matching import Matching, Permutations, match
from lmc.matching.needs import Needs
from lmc.matching.none import none

__all__ = ["GIVEN", "MATCHERS", "Evidence", "Matching", "Needs", "Permutations", "match", "match_activations"]

MATCHERS: dict[str, Callable[..., Matching | Sequence[Permutations]]] = {
    "none": none,
    "activation": activation,
    "identifiability": identifiability,
}

GIVEN = ("evidence",)
