"""The best permutation, and what is reported about it."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmc.core.errors import LmcError
from lmc.costs import SwapCost, admissible, identifiable
from lmc.costs.swap import total
from lmc.matching import match_activations
from lmc.matching.assignment import objective
from lmc.matching.identifiability import (
    MatchingObjective,
    margins,
    mutual,
    objectives,
)
from lmc.symmetry import Group


def anything(n):
    """The group of all permutations of n neurons."""
    return Group("all", n, (), (), {})


NUMBERS = st.floats(-1e3, 1e3)


@st.composite
def matrices(draw, smallest=1, largest=5):
    n = draw(st.integers(smallest, largest))
    return torch.tensor(draw(st.lists(NUMBERS, min_size=n * n, max_size=n * n)), dtype=torch.float64).view(
        n, n
    )


@st.composite
def masked(draw):
    similarity = draw(matrices())
    n = len(similarity)
    allowed = torch.tensor(draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))).view(n, n)
    return similarity, allowed | torch.eye(n, dtype=torch.bool)


def _best(similarity, allowed=None):
    n = len(similarity)
    return max(
        sum(float(similarity[i, j]) for i, j in enumerate(p))
        for p in itertools.permutations(range(n))
        if allowed is None or all(allowed[i, j] for i, j in enumerate(p))
    )


def _is_permutation(p):
    return p.dtype == torch.int64 and p.tolist() != [] and sorted(p.tolist()) == list(range(len(p)))


@given(matrices())
def test_as_good_as_the_best_of_all_permutations(similarity):
    found = match_activations(similarity)
    assert _is_permutation(found)
    assert math.isclose(
        objective(similarity, found) * len(found), _best(similarity), rel_tol=1e-9, abs_tol=1e-9
    )


@given(masked())
def test_only_admissible_pairs_and_the_best_of_those(case):
    similarity, allowed = case
    found = match_activations(similarity, allowed)
    assert _is_permutation(found)
    assert allowed[torch.arange(len(found)), found].all()
    reached = objective(similarity, found) * len(found)
    assert math.isclose(reached, _best(similarity, allowed), rel_tol=1e-9, abs_tol=1e-8)


def test_nothing_moves_where_only_the_diagonal_is_admissible(rng):
    similarity = torch.randn(6, 6, generator=rng) * 1e4
    assert match_activations(similarity).tolist() != list(range(6))
    assert match_activations(similarity, torch.eye(6, dtype=torch.bool)).tolist() == list(range(6))


def test_slot_i_of_a_gets_the_neuron_of_b_that_is_like_it(rng):
    planted = torch.tensor([2, 0, 3, 1])
    # Neuron planted[i] of B is neuron i of A: row i is greatest in column planted[i].
    similarity = torch.nn.functional.one_hot(planted, 4).double() + 0.1 * torch.rand(4, 4, generator=rng)
    assert match_activations(similarity).tolist() == planted.tolist()
    assert objective(similarity, planted) == pytest.approx(
        sum(float(similarity[i, planted[i]]) for i in range(4)) / 4
    )


@pytest.mark.parametrize("bad", [torch.zeros(2, 3), torch.zeros(4), torch.tensor([[1.0, torch.nan], [0, 1]]),
                                 torch.tensor([[1.0, torch.inf], [0, 1]])])  # fmt: skip
def test_what_cannot_be_matched_is_refused(bad):
    with pytest.raises(LmcError, match="similarity"):
        match_activations(bad)


@given(matrices(largest=4))
def test_objectives(similarity):
    n = len(similarity)
    found = objectives(similarity, anything(len(similarity)))
    worst = -_best(-similarity)
    assert found.optimal == pytest.approx(_best(similarity) / n, abs=1e-9)
    assert found.identity == pytest.approx(float(similarity.trace()) / n, abs=1e-9)
    assert worst / n - 1e-9 <= found.random <= found.optimal + 1e-9
    assert found.random_sd >= 0
    assert objectives(similarity, anything(len(similarity))) == found
    if not math.isnan(found.ratio):
        assert found.ratio <= 1 + 1e-9
        assert found.ratio == pytest.approx(
            (found.identity - found.random) / (found.optimal - found.random), rel=1e-12
        )


def test_ratio_at_its_marks(rng):
    similarity = torch.rand(6, 6, generator=rng) + 3 * torch.eye(6)
    assert objectives(similarity, anything(len(similarity))).ratio == pytest.approx(1)
    assert objectives(similarity.flip(1), anything(len(similarity))).ratio < 0.2
    assert MatchingObjective(1.0, 0.25, 0.25, 0.1).ratio == 0
    assert math.isnan(objectives(torch.full((4, 4), 0.3), anything(4)).ratio)
    assert math.isnan(objectives(torch.ones(1, 1), anything(1)).ratio)


def test_random_is_the_mean_over_all_permutations(rng):
    """Of random permutations the expected objective is the mean of the matrix."""
    similarity = torch.rand(8, 8, generator=rng)
    found = objectives(similarity, anything(len(similarity)))
    assert found.random == pytest.approx(float(similarity.mean()), abs=4 * found.random_sd / 10)
    assert found.random_sd > 0


@given(matrices())
def test_margins_and_mutual_against_plain_loops(similarity):
    n = len(similarity)
    permutation = match_activations(similarity)
    margin, best = margins(similarity), mutual(similarity, permutation)
    for i in range(n):
        others = [float(similarity[i, j]) for j in range(n) if j != i]
        others += [float(similarity[j, i]) for j in range(n) if j != i]
        own = float(similarity[i, i])
        assert float(margin[i]) == (own - max(others) if others else own)
        if len(set(similarity.flatten().tolist())) == n * n:
            p = int(permutation[i])
            row, column = similarity[i].tolist(), similarity[:, p].tolist()
            assert bool(best[i]) == (row.index(max(row)) == p and column.index(max(column)) == i)


def test_mutual_and_margin_disagree_where_they_should():
    similarity = torch.tensor([[0.9, 0.2, 0.0], [0.1, 0.3, 0.8], [0.0, 0.7, 0.5]])
    assert mutual(similarity, torch.arange(3)).tolist() == [True, False, False]
    assert mutual(similarity, torch.tensor([0, 2, 1])).tolist() == [True, True, True]
    assert (margins(similarity) > 0).tolist() == [True, False, False]
    # Best of its row but not of its column.
    assert mutual(torch.tensor([[0.5, 0.1], [0.6, 0.7]]), torch.arange(2)).tolist() == [False, True]
    assert mutual(torch.tensor([[0.5, 0.1], [0.6, 0.2]]), torch.arange(2)).tolist() == [False, False]


@st.composite
def swap_costs(draw, runs=2):
    n = draw(st.integers(1, 5))
    values = st.lists(st.floats(-3, 6), min_size=n * n, max_size=n * n)
    own = st.lists(st.floats(0, 2), min_size=n, max_size=n)
    costs = []
    for _ in range(runs):
        delta = torch.tensor(draw(values), dtype=torch.float64).view(n, n)
        delta = delta.triu(1) + delta.triu(1).mT
        costs.append(SwapCost(delta, torch.tensor(draw(own), dtype=torch.float64)))
    return costs


@given(swap_costs(), st.floats(0, 3))
def test_admissible_against_its_definition(costs, tau):
    allowed = admissible(costs, tau)
    n = len(allowed)
    for i, j in itertools.product(range(n), repeat=2):
        cheap = all(float(c.delta[i, j]) <= tau * (float(c.own[i]) + float(c.own[j])) for c in costs)
        assert bool(allowed[i, j]) == (cheap or i == j)
    assert torch.equal(allowed, allowed.mT)
    for i in range(n):
        assert bool(identifiable(allowed)[i]) == (not any(allowed[i, j] for j in range(n) if j != i))
    assert (admissible(costs[:1], tau) | ~allowed).all()
    assert (admissible(costs, tau + 1) | ~allowed).all()


def test_an_exchange_that_cannot_be_made_is_not_admissible():
    delta = torch.tensor([[0.0, torch.inf], [torch.inf, 0.0]])
    assert identifiable(admissible([SwapCost(delta, torch.ones(2))], 1e9)).all()


def test_total_sums_layers():
    one, two = SwapCost(torch.ones(2, 2), torch.ones(2)), SwapCost(2 * torch.eye(2), torch.tensor([1.0, 3.0]))
    summed = total(len(one.own), [one, two])
    assert summed.delta.tolist() == [[3, 1], [1, 3]]
    assert summed.own.tolist() == [2, 4]
