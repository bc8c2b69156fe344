"""No alignment."""

from __future__ import annotations

from lmc.matching.evidence import Evidence
from lmc.matching.matching import Matching
from lmc.matching.needs import RecordingPoint, Similarity


def none(
    evidence: Evidence,
    *,
    similarity: Similarity = "pearson",
    point: RecordingPoint = "activation",
) -> Matching:
    """The identity for every run; the similarity is only reported."""
    return Matching([evidence.groups.identity() for _ in range(evidence.runs)])
