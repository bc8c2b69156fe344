"""Aligning neurons. A matcher takes the evidence of N runs and returns a permutation per run."""

from __future__ import annotations

from collections.abc import Callable

from lmc.matching.activation import activation
from lmc.matching.assignment import match_activations
from lmc.matching.by_identifiability import identifiability
from lmc.matching.evidence import Evidence, Permutations
from lmc.matching.none import none

__all__ = ["GIVEN", "MATCHERS", "Evidence", "Permutations", "match_activations"]

MATCHERS: dict[str, Callable[..., list[Permutations]]] = {
    "none": none,
    "activation": activation,
    "identifiability": identifiability,
}

GIVEN = ("evidence",)
