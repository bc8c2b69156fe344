"""Match only where moving is cheap (THEORY 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from lmc.core.effect import OnlyWith
from lmc.costs import admissible
from lmc.matching.evidence import Evidence
from lmc.matching.many import match_runs
from lmc.matching.matching import Matching
from lmc.matching.needs import Beta, CostEstimate, Ratio, RecordingPoint, Reference, Similarity, Tau
from lmc.symmetry import Group


def identifiability(
    evidence: Evidence,
    *,
    similarity: Similarity = "pearson",
    point: RecordingPoint = "activation",
    tau: Tau = 1.0,
    ratio: Ratio = 0.9,
    estimate: CostEstimate = "mahalanobis",
    beta: Annotated[Beta, OnlyWith(estimate="ridge")] = 0.01,
    reference: Reference = "mean",
) -> Matching:
    """The permutation of greatest similarity among pairs whose exchange is cheap in all compared runs.

    A fully identifiable layer stays as it is, a standard network is matched by activations. Where costs
    are undefined (sigma's layers, constant inputs) a layer stays as it is.

    Args:
        tau: an exchange is cheap up to tau times what the two neurons cost.
        ratio: share of variance of the input subspace that mahalanobis costs are measured on.
        estimate: of the costs; ridge weighs a small error on the data against the norm.
        beta: of the ridge estimate.
        reference: of more than two runs, which ``lmc merge`` takes: the mean of the others, or the first.
    """

    def allowed(runs: Sequence[int], group: Group) -> Tensor:
        costs = evidence.costs[group.name]
        if costs is None:
            return torch.eye(group.size, dtype=torch.bool)
        return admissible([costs[run] for run in runs], tau)

    return match_runs(evidence, allowed, reference)
