"""Match only where moving is cheap (THEORY 4)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from lmc.matching.evidence import Evidence, Permutations
from lmc.matching.identifiability import admissible
from lmc.symmetry import Group


def identifiability(
    evidence: Evidence,
    *,
    similarity: Literal["pearson", "absolute", "dot"] = "pearson",
    point: Literal["activation", "norm", "linear"] = "activation",
    tau: Annotated[float, Field(ge=0)] = 1.0,
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.9,
    estimate: Literal["mahalanobis", "ridge"] = "mahalanobis",
    beta: Annotated[float, Field(gt=0)] = 0.01,
) -> list[Permutations]:
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

    return evidence.align(allowed)
