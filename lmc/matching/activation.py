"""Match by activations (arXiv 2209.04836, 2211.08403)."""

from __future__ import annotations

from typing import Literal

from lmc.matching.evidence import Evidence, Permutations


def activation(
    evidence: Evidence,
    *,
    similarity: Literal["pearson", "absolute", "dot"] = "pearson",
    point: Literal["activation", "norm", "linear"] = "activation",
) -> list[Permutations]:
    """The permutation of greatest similarity to the first run, group by group.

    Args:
        similarity: of two neurons over the training inputs.
        point: where they are recorded: after the activation, the norm, or the linear map.
    """
    return evidence.align(lambda run, group: None)
