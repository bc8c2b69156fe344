"""The best permutation that a group allows: of all neurons, or of blocks and inside them (THEORY 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor

from lmc.matching.assignment import match_activations
from lmc.symmetry import Group


def match_family(
    family: Sequence[Group], similarity: Sequence[Tensor], admissible: Sequence[Tensor | None]
) -> dict[str, Tensor]:
    """The permutations of greatest total similarity of groups that move their blocks alike.

    Every pair of blocks is worth what the best permutation inside it is worth, so the Hungarian method on
    blocks then finds the optimum (nested assignment).

    Args:
        family: one group, or several of the same number of blocks.
        similarity: (n, n) each, neuron of A by neuron of B.
        admissible: (n, n) bool each, the pairs allowed; None allows all.

    Returns:
        group name to (n,) int64, B's neuron for each slot of A.
    """
    blocks = family[0].blocks
    if blocks == 1:
        return {
            group.name: match_activations(own, allowed)
            for group, own, allowed in zip(family, similarity, admissible, strict=True)
        }
    value = torch.zeros(blocks, blocks, dtype=torch.float64)
    possible = torch.ones(blocks, blocks, dtype=torch.bool)
    inside: dict[str, Tensor] = {}
    for group, own, allowed in zip(family, similarity, admissible, strict=True):
        if allowed is not None:
            possible &= exchangeable(group, allowed)
        inner = torch.arange(group.block).repeat(blocks, blocks, 1)
        for slot, source in torch.cartesian_prod(torch.arange(blocks), torch.arange(blocks)).tolist():
            part = _part(group, own, slot, source)
            if group.inner and possible[slot, source]:
                inner[slot, source] = match_activations(
                    part, None if allowed is None else _part(group, allowed, slot, source)
                )
            value[slot, source] += part.double()[torch.arange(group.block), inner[slot, source]].sum()
        inside[group.name] = inner
    outer = match_activations(value, possible)
    slots = torch.arange(blocks)
    return {group.name: group.expand(outer, inside[group.name][slots, outer]) for group in family}


def exchangeable(group: Group, allowed: Tensor) -> Tensor:
    """Blocks (b, b) bool of which one can take the other's place using allowed pairs (n, n) only."""
    blocks, size = group.blocks, group.block
    if not group.inner:
        place = torch.arange(size)
        return allowed.view(blocks, size, blocks, size)[:, place, :, place].all(dim=0)
    found = torch.zeros(blocks, blocks, dtype=torch.bool)
    for slot in range(blocks):
        for source in range(blocks):
            graph = csr_array(_part(group, allowed, slot, source).numpy().astype("int8"))
            found[slot, source] = bool((maximum_bipartite_matching(graph) >= 0).all())
    return found


def reachable(group: Group, allowed: Tensor) -> Tensor:
    """The allowed pairs (n, n) that some permutation of the group uses: within a block, or between two
    blocks that can change places."""
    if group.blocks == 1:
        return allowed
    between = exchangeable(group, allowed) | torch.eye(group.blocks, dtype=torch.bool)
    spread = between.repeat_interleave(group.block, 0).repeat_interleave(group.block, 1)
    if not group.inner:
        place = torch.arange(group.size) % group.block
        spread = spread & (place[:, None] == place[None, :])
    return allowed & spread


def _part(group: Group, matrix: Tensor, slot: int, source: int) -> Tensor:
    rows, columns = (slice(at * group.block, (at + 1) * group.block) for at in (slot, source))
    return matrix[rows, columns]
