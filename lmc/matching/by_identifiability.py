"""Match only where moving is cheap (THEORY 4)."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from lmc.core.effect import OnlyWith
from lmc.costs import admissible
from lmc.matching.evidence import Evidence
from lmc.matching.matching import Matching
from lmc.matching.needs import Beta, CostEstimate, Ratio, RecordingPoint, Similarity, Tau
from lmc.matching.to_first import to_first
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
) -> Matching:
    """The permutation of greatest similarity among pairs whose exchange is cheap in both runs.

    A fully identifiable layer stays as it is, a standard network is matched by activations. Where costs
    are undefined (sigma's layers, constant inputs) a layer stays as it is.

    Args:
        tau: an exchange is cheap up to tau times what the two neurons cost.
        ratio: share of variance of the input subspace that mahalanobis costs are measured on.
        estimate: of the costs; ridge weighs a small error on the data against the norm.
        beta: of the ridge estimate.
    """

    def allowed(run: int, group: Group) -> Tensor:
        costs = evidence.costs[group.name]
        if costs is None:
            return torch.eye(group.size, dtype=torch.bool)
        return admissible([costs[0], costs[run]], tau)

    return to_first(evidence, allowed)
