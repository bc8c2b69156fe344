"""Anisotropy of masks and its probabilistic bound."""

import math

import numpy as np
import pytest
import torch

from lmc.core.errors import LmcError
from lmc.core.linear_algebra import coherence
from lmc.costs import anisotropy, bound
from lmc.costs import coherence as room


def _basis(rng, d=30, k=5):
    return torch.linalg.qr(torch.randn(d, k, generator=rng, dtype=torch.float64)).Q


def _slow(mask, basis):
    u, rows = basis.numpy(), mask.double().numpy()
    p = rows.mean()
    return [np.linalg.norm(u.T @ np.diag(row) @ u - p * np.eye(u.shape[1]), 2) for row in rows]


@pytest.mark.parametrize("p", [0.02, 0.15, 0.5, 0.9, 0.99])
def test_anisotropy_is_the_operator_norm(rng, p, monkeypatch):
    basis, mask = _basis(rng), torch.rand(40, 30, generator=rng) < p
    found = anisotropy(mask, basis)
    np.testing.assert_allclose(found, _slow(mask, basis), rtol=1e-10, atol=1e-12)
    monkeypatch.setattr(room, "chunk", lambda *sizes, **_: 7)
    torch.testing.assert_close(anisotropy(mask, basis), found)


def test_fewer_fixed_coordinates_than_dimensions(rng):
    basis = _basis(rng, 30, 20)
    mask = torch.rand(12, 30, generator=rng).argsort(1) >= 3
    mask[4], mask[5, :2] = True, False
    np.testing.assert_allclose(anisotropy(mask, basis), _slow(mask, basis), rtol=1e-10)


def test_masks_that_fix_all_or_nothing(rng):
    basis = _basis(rng)
    assert (anisotropy(torch.ones(4, 30), basis) == 0).all()
    assert (anisotropy(torch.zeros(4, 30, dtype=torch.bool), basis) == 0).all()


@pytest.mark.parametrize("kind", ["bernoulli", "fixed_count"])
@pytest.mark.parametrize("p", [0.15, 0.5, 0.9])
@pytest.mark.parametrize("coherent", [True, False])
def test_slots_stay_within_the_bound(rng, kind, p, coherent):
    d, k, n = 200, 4, 2_000
    basis = torch.eye(d, k, dtype=torch.float64) if coherent else _basis(rng, d, k)
    draw = torch.rand(n, d, generator=rng)
    mask = draw < p if kind == "bernoulli" else draw.argsort(1) < round(p * d)
    found = anisotropy(mask, basis)
    for delta in (0.5, 0.1, 0.01):
        assert float((found <= bound(mask, basis, delta)).double().mean()) >= 1 - delta


def test_the_bound_is_the_formula(rng):
    basis, mask = _basis(rng), torch.rand(40, 30, generator=rng) < 0.8
    p, nu, log = float(mask.double().mean()), coherence(basis), math.log(2 * 5 / 0.1)
    expected = 2 / 3 * p * nu * log + math.sqrt(2 * p * (1 - p) * nu * log)
    assert bound(mask, basis, 0.1) == pytest.approx(expected)
    assert bound(~mask, basis, 0.1) == pytest.approx(expected)  # B = max(p, 1 - p), not p
    assert bound(mask, basis, 0.01) > bound(mask, basis, 0.1)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, math.nan])
def test_a_delta_out_of_bounds_is_refused(rng, delta):
    with pytest.raises(LmcError, match=r"outside \(0, 1\)"):
        bound(torch.ones(4, 30), _basis(rng), delta)
