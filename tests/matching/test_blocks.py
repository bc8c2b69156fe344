"""Matching under groups that keep blocks together: against every permutation that the group allows."""

import itertools

import pytest
import torch

from lmc.matching.blocks import exchangeable, match_family, reachable
from lmc.matching.identifiability import objectives
from lmc.symmetry import Group, random


def blocks(count, size, inner=True, name="g", family="f"):
    return Group(name, count * size, (), (), {}, count, inner, family)


def elements(groups):
    """Every element of a family, written out."""
    count = groups[0].blocks
    for outer in itertools.permutations(range(count)):
        inside = [
            itertools.product(itertools.permutations(range(group.block)), repeat=count)
            if group.inner
            else [tuple(tuple(range(group.block)) for _ in range(count))]
            for group in groups
        ]
        for chosen in itertools.product(*inside):
            yield {
                group.name: [outer[b] * group.block + j for b in range(count) for j in rows[b]]
                for group, rows in zip(groups, chosen, strict=True)
            }


def worth(groups, similarity, element):
    return sum(
        float(own[torch.arange(group.size), torch.as_tensor(element[group.name])].sum())
        for group, own in zip(groups, similarity, strict=True)
    )


FAMILIES = {
    "one group": [blocks(3, 2)],
    "whole blocks": [blocks(3, 2, inner=False)],
    "queries and values": [blocks(2, 2, name="q"), blocks(2, 3, name="v")],
    "heads and their gates": [blocks(3, 2, name="q"), blocks(3, 1, name="h")],
    "no blocks": [blocks(1, 4)],
}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_best_of_all_elements(family, rng):
    for _ in range(3):
        similarity = [torch.rand(group.size, group.size, generator=rng) for group in family]
        found = match_family(family, similarity, [None] * len(family))
        assert all(group.holds(found[group.name]) for group in family)
        best = max(worth(family, similarity, element) for element in elements(family))
        assert worth(family, similarity, found) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_best_of_the_admissible_elements(family, rng):
    for _ in range(4):
        similarity = [torch.rand(group.size, group.size, generator=rng) for group in family]
        allowed = [
            (torch.rand(group.size, group.size, generator=rng) < 0.6)
            | torch.eye(group.size, dtype=torch.bool)
            for group in family
        ]

        def admissible(element, allowed=allowed):
            return all(
                own[torch.arange(group.size), torch.as_tensor(element[group.name])].all()
                for group, own in zip(family, allowed, strict=True)
            )

        found = match_family(family, similarity, allowed)
        assert admissible(found)
        best = max(worth(family, similarity, each) for each in elements(family) if admissible(each))
        assert worth(family, similarity, found) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_planted_element_is_found(family, rng):
    planted = random(family, rng)
    similarity = [torch.eye(group.size)[planted[group.name]].mT.contiguous() for group in family]
    found = match_family(family, similarity, [None] * len(family))
    for group in family:
        assert torch.equal(found[group.name], planted[group.name].argsort())


def test_pairs_that_no_element_uses_are_not_reachable(rng):
    group, everything = blocks(3, 2), torch.ones(6, 6, dtype=torch.bool)
    assert torch.equal(reachable(group, everything), everything)
    apart = everything.clone()
    apart[0, 2:] = apart[2:, 0] = False  # neuron 0 fits nowhere in the other blocks
    found = reachable(group, apart)
    assert exchangeable(group, apart).int().tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert not found[1, 2:].any()
    assert found[1, 0]
    assert found[2:, 2:].all()
    whole = reachable(blocks(3, 2, inner=False), everything)
    assert whole.int().tolist()[0] == [1, 0, 1, 0, 1, 0]


def test_objectives_keep_to_the_group():
    group, similarity = blocks(2, 2, inner=False), torch.eye(4)[[1, 0, 3, 2]]
    found = objectives(similarity, group)
    assert (found.optimal, found.identity, found.random) == (0.0, 0.0, 0.0)
    assert objectives(similarity, blocks(1, 4)).optimal == 1.0
