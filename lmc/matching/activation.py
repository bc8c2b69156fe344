"""Match by activations (arXiv 2209.04836, 2211.08403)."""

from __future__ import annotations

from lmc.matching.evidence import Evidence
from lmc.matching.matching import Matching
from lmc.matching.needs import RecordingPoint, Similarity
from lmc.matching.to_first import to_first


def activation(
    evidence: Evidence,
    *,
    similarity: Similarity = "pearson",
    point: RecordingPoint = "activation",
) -> Matching:
    """The permutation of greatest similarity to the first run, group by group.

    Args:
        similarity: of two neurons over the training inputs.
        point: where they are recorded: after the activation, the norm, or the linear map.
    """
    return to_first(evidence, lambda run, group: None)
