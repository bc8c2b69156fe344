"""Match only where moving is cheap (THEORY 4)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from lmc.matching.assignment import match_activations
from lmc.matching.evidence import Evidence, Permutations
from lmc.matching.identifiability import admissible


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
    aligned = [evidence.groups.identity()]
    for run in range(1, evidence.runs):
        permutations: Permutations = {}
        for group in evidence.groups:
            costs = evidence.costs[group.name]
            permutations[group.name] = (
                torch.arange(group.size)
                if costs is None
                else match_activations(
                    evidence.similarity(0, run, group.name), admissible([costs[0], costs[run]], tau)
                )
            )
        aligned.append(permutations)
    return aligned
