"""Match by activations (arXiv 2209.04836, 2211.08403)."""

from __future__ import annotations

from lmc.matching.evidence import Evidence
from lmc.matching.many import match_runs
from lmc.matching.matching import Matching
from lmc.matching.needs import RecordingPoint, Reference, Similarity


def activation(
    evidence: Evidence,
    *,
    similarity: Similarity = "pearson",
    point: RecordingPoint = "activation",
    reference: Reference = "mean",
) -> Matching:
    """The permutation of greatest similarity, group by group.

    Args:
        similarity: of two neurons over the training inputs.
        point: where they are recorded: after the activation, the norm, or the linear map.
        reference: of more than two runs, which ``lmc merge`` takes: the mean of the others, or the first.
    """
    return match_runs(evidence, lambda runs, group: None, reference)
