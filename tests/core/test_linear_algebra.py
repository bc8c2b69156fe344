"""Rotations to a coherence: orthogonal, exact, and refused where none exists."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc.core.errors import LmcError
from lmc.core.linear_algebra import coherence, random_orthonormal, rotate_to_coherence


def drawn(d, k, seed=0):
    return random_orthonormal(d, k, torch.Generator().manual_seed(seed))


def copied(pairs, copies):
    """Ties everywhere: the identity in ``copies`` of the pairs of coordinates."""
    basis = torch.zeros(2 * pairs, 2, dtype=torch.float64)
    basis[: 2 * copies] = torch.eye(2, dtype=torch.float64).repeat(copies, 1) / math.sqrt(copies)
    return basis


def check(basis, target):
    rotation = rotate_to_coherence(basis, target)
    assert rotation.shape == (len(basis), len(basis))
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(len(basis), dtype=torch.float64))
    assert coherence(rotation @ basis) == pytest.approx(target, abs=1e-9)
    return rotation


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 24), st.data())
def test_every_target_in_the_range_is_reached(d, data):
    k = data.draw(st.integers(1, d))
    share = data.draw(st.floats(0, 1))
    check(drawn(d, k, data.draw(st.integers(0, 999))), min(1.0, k / d + share * (1 - k / d)))


@pytest.mark.parametrize("target", [0.1, 0.15, 1 / 3, 0.5, 0.75, 1])
@pytest.mark.parametrize("copies", [1, 2, 7, 10])
def test_ties_and_empty_rows_stop_nothing(copies, target):
    check(copied(10, copies), target)


def test_at_its_own_coherence_a_subspace_stays():
    basis = drawn(12, 3)
    assert torch.equal(rotate_to_coherence(basis, coherence(basis)), torch.eye(12, dtype=torch.float64))


def test_the_rotation_depends_on_the_subspace_alone():
    """Not on signs or order of the basis, which another machine may choose otherwise."""
    for basis in (drawn(20, 4), copied(10, 5)):
        k = basis.shape[1]
        other = basis @ drawn(k, k, 1)
        for target in (0.25, 0.9):
            first, second = (rotate_to_coherence(each, target) for each in (basis, other))
            torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


@pytest.mark.parametrize("target", [0.2, 0, -1, 1.0001, math.nan])
def test_a_target_out_of_reach_is_refused_with_the_range(target):
    basis = drawn(30, 7)
    with pytest.raises(LmcError, match=r"7 of 30 dimensions has one from 0\.233334 to 1 .it is 0\.\d+ now"):
        rotate_to_coherence(basis, target)
    check(basis, 0.233334)


def test_random_orthonormal_columns_are_orthonormal_and_in_every_direction():
    basis = drawn(40, 6)
    torch.testing.assert_close(basis.T @ basis, torch.eye(6, dtype=torch.float64))
    assert torch.equal(basis, drawn(40, 6))
    first = torch.stack([drawn(3, 1, seed)[:, 0] for seed in range(400)])
    torch.testing.assert_close(first.mean(0), torch.zeros(3, dtype=torch.float64), atol=0.15, rtol=0)
    torch.testing.assert_close(
        first.square().mean(0), torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.08, rtol=0
    )
