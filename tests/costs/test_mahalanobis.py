"""Norm costs against a slow loop over slots, and the limits they must respect."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmc.core.errors import LmcError
from lmc.core.linear_algebra import coherence
from lmc.costs import mahalanobis, outside_range, principal_subspace, realisation_cost, swap_cost
from lmc.recording import MomentStream


def _layer(rng, n=6, d=9, k=4, zeros=2, masked=True, centred=True):
    """Weights w = D theta + f of one layer, float64, and a subspace."""
    basis = torch.linalg.qr(torch.randn(d, k, generator=rng, dtype=torch.float64)).Q
    theta = torch.randn(n, d, generator=rng, dtype=torch.float64)
    mask = torch.rand(n, d, generator=rng).argsort(1) >= zeros if masked else None
    centre = torch.randn(n, d, generator=rng, dtype=torch.float64) if centred else None
    if masked and centred:
        centre = torch.where(mask, 0.0, centre)
    weight = theta if mask is None else theta * mask
    return (weight if centre is None else weight + centre), mask, centre, basis


def _slow(weight, mask, centre, basis, outside):
    """THEORY 2, a pseudo-inverse a slot and one neuron at a time."""
    n, d = weight.shape
    mask = np.ones((n, d)) if mask is None else mask.numpy().astype(float)
    centre = np.zeros((n, d)) if centre is None else centre.numpy()
    u, w = basis.numpy(), weight.numpy()
    cost = np.empty((n, n))
    for i in range(n):
        gram = u.T @ np.diag(mask[i] ** 2) @ u
        inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
        for j in range(n):
            difference = u.T @ w[j] - u.T @ centre[i]
            cost[i, j] = difference @ inverse @ difference
            lost = difference - gram @ inverse @ difference
            if outside == "infinite" and lost @ lost > 1e-9 * (difference @ difference):
                cost[i, j] = math.inf
    return cost


@pytest.mark.parametrize("outside", ["infinite", "projected"])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("zeros", [2, 7])
def test_realisation_cost_against_the_slow_loop(rng, masked, centred, zeros, outside):
    weight, mask, centre, basis = _layer(rng, zeros=zeros, masked=masked, centred=centred)
    cost = realisation_cost(weight, mask, centre, basis, outside)
    assert cost.dtype == torch.float64
    np.testing.assert_allclose(cost, _slow(weight, mask, centre, basis, outside), rtol=1e-8)
    singular = masked and zeros == 7  # two trainable entries cannot reach all of four dimensions
    assert bool(torch.isinf(cost).any()) == (singular and outside == "infinite")
    # What a neuron already does costs at most its own norm, and is never out of reach.
    theta = weight if centre is None else weight - centre
    assert (cost.diagonal() <= theta.square().sum(1) * (1 + 1e-9)).all()


def test_slots_of_which_some_are_singular(rng):
    weight, mask, centre, basis = _layer(rng, zeros=2)
    mask[1], mask[4] = False, torch.arange(9) < 2
    weight = torch.where(mask, weight, centre)
    centre[1] = weight[1]
    for outside in ("infinite", "projected"):
        cost = realisation_cost(weight, mask, centre, basis, outside)
        np.testing.assert_allclose(cost, _slow(weight, mask, centre, basis, outside), rtol=1e-7, atol=1e-12)
        # Slot 1 has nothing to train: it realises its centre for nothing and no other function at all.
        assert float(cost[1, 1]) == 0
        others = [j for j in range(6) if j != 1]
        assert (cost[1, others] == (math.inf if outside == "infinite" else 0)).all()
    # Its exchange is out of reach, and says so rather than giving NaN.
    delta = swap_cost(realisation_cost(weight, mask, centre, basis))
    assert torch.isinf(delta[1, others]).all()
    assert not delta.isnan().any()


@pytest.mark.parametrize("zeros", [1, 3, 6, 20, 27])
@pytest.mark.parametrize("near", [0.0, 1e-3, 1e-9])
def test_few_fixed_coordinates_give_the_same_costs(rng, zeros, near, monkeypatch):
    """Woodbury and Cholesky agree, also where a slot can hardly or not at all move in one direction."""
    weight, mask, centre, basis = _layer(rng, n=8, d=30, k=10, zeros=zeros)
    if near < 1:
        # Direction 0 of the basis on one coordinate, but for a share: fixed in slots 1 and 4.
        basis[:, 0], basis[3] = near, 0
        basis[3, 0] = 1
        basis = torch.linalg.qr(basis).Q
        mask[[1, 4], 3] = False
        centre = torch.where(mask, 0.0, centre)
        weight = torch.where(mask, weight, centre)
    found = []
    for crossover in (0, 100):
        monkeypatch.setattr(mahalanobis, "_CROSSOVER", crossover)
        found.append(realisation_cost(weight, mask, centre, basis))
    torch.testing.assert_close(*found, rtol=1e-8, atol=0)
    assert found[0].diagonal().isfinite().all()
    if near == 1e-9 and zeros < 20:
        assert outside_range(found[0]) > 0
    # Where some slots have fewer fixed coordinates than others.
    mask[0], centre[0] = True, 0
    for crossover in (0, 100):
        monkeypatch.setattr(mahalanobis, "_CROSSOVER", crossover)
        np.testing.assert_allclose(
            realisation_cost(weight, mask, centre, basis, "projected"),
            _slow(weight, mask, centre, basis, "projected"),
            rtol=1e-6,
        )


@pytest.mark.parametrize("zeros", [12, 15, 18])
def test_no_slot_is_outside_its_own_range(rng, zeros):
    """Small theta beside a large centre: rounding of a - v must not pass for a part out of range."""
    for size in (1.0, 1e-6, 1e-12):
        weight, mask, centre, basis = _layer(rng, n=10, d=20, k=9, zeros=zeros)
        weight = torch.where(mask, size * weight, 1e3 * centre)
        cost = realisation_cost(weight.float(), mask, (1e3 * centre).float(), basis)
        assert cost.diagonal().isfinite().all()
        assert outside_range(cost) == (90 if zeros > 11 else 0)
        assert outside_range(realisation_cost(weight, mask, centre, basis, "projected")) == 0


def test_slots_in_chunks_are_slots_at_once(rng, monkeypatch):
    weight, mask, centre, basis = _layer(rng)
    at_once = realisation_cost(weight, mask, centre, basis)
    monkeypatch.setattr(mahalanobis, "chunk", lambda *sizes, **_: 4)
    torch.testing.assert_close(realisation_cost(weight, mask, centre, basis), at_once, rtol=1e-12, atol=0)


def test_swap_cost_of_a_standard_layer_is_exactly_zero(rng):
    weight, _, _, basis = _layer(rng, n=12, d=30, k=7, masked=False, centred=False)
    for mask, centre in [(None, None), (torch.ones(12, 30, dtype=torch.bool), torch.zeros(12, 30))]:
        cost = realisation_cost(weight.float(), mask, centre, basis)
        assert (swap_cost(cost) == 0).all()
        torch.testing.assert_close(cost[3], (weight.float().double() @ basis).square().sum(1))


def test_swap_cost_against_its_definition(rng):
    weight, mask, centre, basis = _layer(rng)
    cost = realisation_cost(weight, mask, centre, basis)
    delta = swap_cost(cost)
    for i in range(6):
        for j in range(6):
            exchanged = cost[i, j] + cost[j, i] - cost[i, i] - cost[j, j]
            assert float(delta[i, j]) == pytest.approx(float(exchanged), abs=1e-9)
    assert torch.equal(delta, delta.mT)
    assert (delta.diagonal() == 0).all()
    assert (delta[~torch.eye(6, dtype=torch.bool)] != 0).all()


def test_a_far_centre_makes_exchanges_dear(rng):
    """syre: Delta = 2 (a_i - a_j)(v_i - v_j) grows with the square of the scale."""
    weight, _, centre, basis = _layer(rng, masked=False)
    theta, off = weight - centre, ~torch.eye(6, dtype=torch.bool)
    for scale in (10.0, 100.0):
        w = theta + scale * centre
        delta = swap_cost(realisation_cost(w, None, scale * centre, basis))
        a, v = w @ basis, scale * centre @ basis
        expected = 2 * ((a[:, None] - a[None]) * (v[:, None] - v[None])).sum(-1)
        torch.testing.assert_close(delta, expected, rtol=1e-9, atol=1e-6)
        assert (delta[off] > 0).all()


def test_a_rotation_of_the_basis_changes_no_cost(rng):
    weight, mask, centre, basis = _layer(rng)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=rng, dtype=torch.float64)).Q
    torch.testing.assert_close(
        realisation_cost(weight, mask, centre, basis @ turn), realisation_cost(weight, mask, centre, basis)
    )


@pytest.mark.parametrize("ratio", [0.3, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("count", [200, 7])
def test_the_subspace_is_that_of_an_svd(rng, ratio, count):
    x = torch.randn(count, 10, generator=rng, dtype=torch.float64) @ torch.diag(
        torch.linspace(3, 0.1, 10).double()
    )
    x = x @ torch.randn(10, 10, generator=rng, dtype=torch.float64) + 100
    found = principal_subspace(x, ratio)
    centred = x - x.mean(0)
    _, values, right = torch.linalg.svd(centred, full_matrices=False)
    share = (values.square().cumsum(0) / values.square().sum()).tolist()
    k = next(index + 1 for index, value in enumerate(share) if value >= ratio - 1e-12)
    assert found.dimension == k == found.basis.shape[1]
    u = right[:k].mT
    torch.testing.assert_close(found.basis @ found.basis.mT, u @ u.mT, rtol=0, atol=1e-8)
    torch.testing.assert_close(found.basis.mT @ found.basis, torch.eye(k, dtype=torch.float64))
    assert found.explained_variance == pytest.approx(share[k - 1], abs=1e-10)
    assert found.explained_variance >= ratio - 1e-9
    assert k / 10 - 1e-12 <= found.coherence <= 1 + 1e-12


def test_rows_and_moments_give_one_subspace(rng):
    x = torch.randn(2, 60, 8, generator=rng, dtype=torch.float64).cumsum(-1)
    stream = MomentStream([(1, 1)])
    for part in x.split(25, dim=1):
        stream.add(part)
    one, other = principal_subspace(stream.finish()), principal_subspace(x[1])
    torch.testing.assert_close(one.basis @ one.basis.mT, other.basis @ other.basis.mT, rtol=0, atol=1e-8)
    assert one.explained_variance == pytest.approx(other.explained_variance)


def test_data_in_fewer_dimensions_span_no_more(rng):
    x = torch.randn(50, 3, generator=rng) @ torch.randn(3, 9, generator=rng)
    assert principal_subspace(x.double(), 1.0).dimension == 3


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, math.nan])
def test_a_share_out_of_bounds_is_refused(rng, ratio):
    with pytest.raises(LmcError, match=r"outside \(0, 1\]"):
        principal_subspace(torch.randn(5, 3, generator=rng), ratio)


def test_inputs_that_span_nothing_are_refused():
    with pytest.raises(LmcError, match="constant"):
        principal_subspace(torch.full((5, 3), 7.0))
    with pytest.raises(LmcError, match="NaN"):
        principal_subspace(torch.tensor([[1.0, torch.nan], [0.0, 1.0]]))


@given(st.integers(1, 8), st.integers(0, 1000), st.data())
def test_coherence_lies_between_its_bounds(d, seed, data):
    k = data.draw(st.integers(1, d))
    basis = torch.linalg.qr(
        torch.randn(d, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ).Q
    rows = [sum(float(value) ** 2 for value in row) for row in basis]
    assert coherence(basis) == pytest.approx(max(rows))
    assert k / d - 1e-12 <= coherence(basis) <= 1 + 1e-12


def test_coherence_at_its_bounds():
    assert coherence(torch.eye(6)[:, :2]) == 1
    flat = torch.linalg.qr(torch.tensor([[1.0, 1], [1, -1], [1, 1], [1, -1]], dtype=torch.float64)).Q
    assert coherence(flat) == pytest.approx(2 / 4)
