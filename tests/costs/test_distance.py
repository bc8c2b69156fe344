"""Distances between ellipsoids against dense sampling and a general optimiser."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from lmc.core.errors import LmcError
from lmc.costs import class_distance, class_distances, distance


def _classes(rng, k, scale, zeros, n=5, d=10):
    basis = torch.linalg.qr(torch.randn(d, k, generator=rng, dtype=torch.float64)).Q
    mask = torch.rand(n, d, generator=rng).argsort(1) >= zeros
    normal = torch.randn(n, d, generator=rng, dtype=torch.float64)
    return mask, torch.where(mask, 0.0, scale * normal), basis


def _slow(mask, centre, basis):
    """Dense sampling of the sphere, then Nelder-Mead from its best points of either sign."""
    n, k = len(mask), basis.shape[1]
    u = basis.numpy()
    gram = [u.T @ np.diag(row) @ u for row in mask.double().numpy()]
    v = centre.numpy() @ u
    points = np.random.default_rng(0).normal(size=(4_000, k))
    points /= np.linalg.norm(points, axis=1, keepdims=True)

    def support(i, x):
        return x @ v[i] + np.sqrt(np.maximum(np.einsum("...k,kl,...l", x, gram[i], x), 0))

    found = np.zeros((n, n))
    for i, j in itertools.combinations(range(n), 2):
        sampled = support(i, points) - support(j, points)
        for sign in (1, -1):

            def objective(x, i=i, j=j, sign=sign):
                x = x / np.linalg.norm(x)
                return -sign * (support(i, x) - support(j, x))

            start = points[np.argmax(sign * sampled)]
            end = minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
            found[i, j] = found[j, i] = max(found[i, j], -end.fun)
    return found


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("zeros", [2, 6])
def test_distance_is_the_maximum_over_directions(rng, k, scale, zeros):
    classes = _classes(rng, k, scale, zeros)
    both = class_distances(*classes)
    slow = _slow(*classes)
    assert (both.distance.numpy() >= slow * (1 - 1e-6)).all()
    np.testing.assert_allclose(both.distance, slow, rtol=1e-3)  # Nelder-Mead may stop a little low
    assert torch.equal(both.distance, both.distance.mT)
    assert torch.equal(both.lower_bound, both.lower_bound.mT)
    assert (both.distance.diagonal() == 0).all()
    off = ~torch.eye(5, dtype=torch.bool)
    assert (both.lower_bound <= both.distance).all()
    assert (both.lower_bound[off] > 0).all()
    assert torch.equal(class_distance(*classes), both.distance)


def test_more_dimensions_against_all_the_samples(rng):
    classes = _classes(rng, 12, 0.3, 8, n=6, d=40)
    found = class_distances(*classes)
    assert (found.distance.numpy() >= _slow_samples(*classes) - 1e-12).all()
    np.testing.assert_allclose(found.distance, class_distances(*classes).distance, rtol=0)


def _slow_samples(mask, centre, basis):
    points = torch.nn.functional.normalize(
        torch.randn(20_000, basis.shape[1], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    )
    linear = points @ (centre @ basis).mT
    norms = torch.stack([((points @ basis.mT) * row).norm(dim=1) for row in mask.double()], dim=1)
    h = linear + norms
    return (h[:, :, None] - h[:, None]).abs().amax(dim=0).numpy()


def test_unit_balls_are_as_far_apart_as_their_centres(rng):
    _, _, basis = _classes(rng, 3, 1.0, 0)
    centre = torch.randn(5, 10, generator=rng, dtype=torch.float64)
    v = centre @ basis
    exact = torch.stack([(v - row).norm(dim=1) for row in v])
    for mask in (None, torch.ones(5, 10, dtype=torch.bool)):
        both = class_distances(mask, centre, basis)
        torch.testing.assert_close(both.distance, exact, rtol=1e-12, atol=0)
        assert torch.equal(both.distance, both.lower_bound)
    assert (class_distance(torch.ones(5, 10), None, basis) == 0).all()


def test_equal_classes_are_no_distance_apart(rng):
    mask, centre, basis = _classes(rng, 3, 1.0, 3)
    mask[1], centre[1] = mask[0], centre[0]
    found = class_distance(mask, centre, basis)
    assert float(found[0, 1]) == pytest.approx(0, abs=1e-12)
    assert float(found[0, 2]) > 0.01


def test_slots_of_which_one_trains_nothing(rng):
    mask, _, basis = _classes(rng, 3, 0.0, 3)
    mask[2] = False
    found = class_distance(mask, None, basis)
    # A point against an ellipsoid: the ellipsoid's longest half-axis.
    for i in (0, 1, 3, 4):
        gram = basis.mT @ torch.diag(mask[i].double()) @ basis
        assert float(found[2, i]) == pytest.approx(float(torch.linalg.eigvalsh(gram)[-1].sqrt()), rel=1e-6)


def test_blocks_are_all_pairs_at_once(rng, monkeypatch):
    classes = _classes(rng, 3, 0.3, 4, n=7)
    at_once = class_distances(*classes)
    monkeypatch.setattr(distance, "chunk", lambda *sizes, **_: 9)
    in_blocks = class_distances(*classes)
    torch.testing.assert_close(in_blocks.distance, at_once.distance, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(in_blocks.lower_bound, at_once.lower_bound, rtol=1e-9, atol=1e-12)


def test_nothing_given_is_refused(rng):
    with pytest.raises(LmcError, match="mask or centres"):
        class_distance(None, None, torch.eye(3, 2))
