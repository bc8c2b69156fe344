"""Ridge costs against a slow optimisation of one pair at a time, and the laws they obey."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import erf

from lmc.core.errors import LmcError
from lmc.costs import realisation_cost, ridge_cost, swap_cost
from lmc.recording import MomentStream

N, WIDTH, INPUTS = 40, 4, 6


def _layer(rng, masked=True, centred=True, zeros=2, n=WIDTH, d=INPUTS, samples=N):
    """Inputs (N, d), w = D theta + f (n, d), biases, D and f, in float64.

    Pre-activations lie mostly where gelu rises: elsewhere there may be several local minima, and no two
    ways need agree.
    """
    draw = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    x = draw(samples, d) * torch.linspace(1.5, 0.3, d) + 0.3
    mask = torch.rand(n, d, generator=rng).argsort(1) >= zeros if masked else None
    theta = 0.4 * draw(n, d)
    centre = 0.4 * draw(n, d) if centred else None
    if masked:
        theta = theta * mask
        centre = torch.where(mask, 0.0, centre) if centred else None
    return x, theta if centre is None else theta + centre, 1 + 0.3 * draw(n), mask, centre


def _norm(rng, kind):
    if kind is None:
        return None
    shape = (WIDTH,) if kind == "neuron" else (N, WIDTH)
    scale, shift = (torch.rand(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    return 0.5 + scale, shift - 0.5


PHI = {
    None: (lambda z: z, np.ones_like),
    "gelu": (
        lambda z: z * (1 + erf(z / math.sqrt(2))) / 2,
        lambda z: (1 + erf(z / math.sqrt(2))) / 2 + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    ),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}


def _slow(x, weight, bias, mask, centre, beta, activation, fit_bias, norm, starts=4):
    """THEORY 2, one pair at a time: the lowest end of BFGS from theta = 0 and from random points."""
    (n, d), (phi, slope) = weight.shape, PHI[activation]
    mask = np.ones((n, d)) if mask is None else mask.double().numpy()
    centre = np.zeros((n, d)) if centre is None else centre.numpy()
    x, w, b = x.numpy(), weight.numpy(), bias.numpy()
    scale, shift = (np.ones(n), np.zeros(n)) if norm is None else (part.numpy() for part in norm)
    scale, shift = np.broadcast_to(scale, (len(x), n)), np.broadcast_to(shift, (len(x), n))
    draw, total, own = np.random.default_rng(0), np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            target = phi(scale[:, j] * (x @ w[j] + b[j]) + shift[:, j])

            def objective(point, i=i, j=j, target=target):
                theta, bias = point[:d], point[d] if fit_bias else b[j]
                z = scale[:, j] * (x @ (mask[i] * theta + centre[i]) + bias) + shift[:, j]
                error = phi(z) - target
                back = 2 / beta / len(x) * error * slope(z) * scale[:, j]
                gradient = 2 * theta + mask[i] * (back @ x)
                if fit_bias:
                    gradient = np.append(gradient, back.sum())
                return theta @ theta + np.mean(error**2) / beta, gradient

            points = [np.zeros(d + fit_bias)] + [draw.normal(size=d + fit_bias) for _ in range(starts)]
            ends = [minimize(objective, p, jac=True, method="BFGS", options={"gtol": 1e-9}) for p in points]
            end = min(ends, key=lambda end: end.fun)
            total[i, j], own[i, j] = end.fun, end.x[:d] @ end.x[:d]
    return total, own


@pytest.mark.parametrize(
    ("masked", "centred", "fit_bias"),
    [
        (True, True, True),
        (True, True, False),
        (True, False, True),
        (False, True, True),
        (False, False, False),
    ],
)
@pytest.mark.parametrize("beta", [0.01, 1.0])
def test_the_closed_form_is_the_minimum(rng, masked, centred, fit_bias, beta):
    layer = _layer(rng, masked, centred)
    cost = ridge_cost(*layer, beta, fit_bias=fit_bias)
    total, norm = _slow(*layer, beta, None, fit_bias, None, starts=0)
    np.testing.assert_allclose(cost.total, total, rtol=1e-6)
    np.testing.assert_allclose(cost.norm_term, norm, rtol=1e-4, atol=1e-8)
    assert torch.equal(cost.total, cost.data_term + cost.norm_term)
    assert cost.not_converged == 0


@pytest.mark.parametrize(
    ("masked", "centred", "fit_bias", "norm", "activation"),
    [
        (True, True, True, None, "gelu"),
        (True, True, False, "neuron", "gelu"),
        (True, True, True, "sample", "gelu"),
        (False, True, True, "neuron", "gelu"),
        (True, False, False, None, "tanh"),
    ],
)
@pytest.mark.parametrize("beta", [0.01, 1.0])
def test_through_an_activation_against_slow_optimisation(
    rng, masked, centred, fit_bias, norm, activation, beta
):
    layer = _layer(rng, masked, centred)
    given = _norm(rng, norm)
    cost = ridge_cost(*layer, beta, activation, fit_bias, given)
    total, norms = _slow(*layer, beta, activation, fit_bias, given)
    np.testing.assert_allclose(cost.total, total, rtol=1e-6)
    np.testing.assert_allclose(cost.norm_term, norms, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(cost.total, cost.data_term + cost.norm_term)
    assert cost.not_converged == 0


@pytest.mark.parametrize("activation", [None, "gelu", "relu"])
@pytest.mark.parametrize("masked", [True, False])
def test_what_a_neuron_does_costs_at_most_its_norm(rng, activation, masked):
    x, w, b, mask, centre = _layer(rng, masked)
    theta = (w - centre).square().sum(1)
    for beta in (1e-6, 0.01, 10.0):
        own = ridge_cost(x, w, b, mask, centre, beta, activation).total.diagonal()
        assert (own <= theta * (1 + 1e-12)).all()


def test_standard_layers_have_equal_rows(rng):
    cost = ridge_cost(*_layer(rng, masked=False, centred=False), 0.01)
    assert (cost.total == cost.total[0]).all()
    assert (swap_cost(cost.total) == 0).all()


@pytest.mark.parametrize("masked", [True, False])
def test_a_small_beta_gives_the_mahalanobis_cost(rng, masked):
    d, k = 12, 3
    _, w, _, mask, centre = _layer(rng, masked, n=5, d=d, zeros=3)
    basis = torch.linalg.qr(torch.randn(d, k, generator=rng, dtype=torch.float64)).Q
    x = torch.randn(60, k, generator=rng, dtype=torch.float64) @ basis.mT
    expected = realisation_cost(w, mask, centre, basis)
    assert expected.isfinite().all()
    errors = [
        float((ridge_cost(x, w, None, mask, centre, beta).total / expected - 1).abs().max())
        for beta in (1e-2, 1e-4, 1e-8, 1e-14)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-9


@pytest.mark.parametrize("activation", [None, "gelu"])
@pytest.mark.parametrize("fit_bias", [True, False])
def test_a_slot_with_nothing_to_train(rng, activation, fit_bias):
    x, w, b, mask, centre = _layer(rng)
    centre = centre / 2
    mask[1], mask[2] = False, torch.arange(INPUTS) < 1
    w = torch.where(mask, w, centre)
    w[1] = centre[1]
    for every in (False, True):
        if every:
            mask, w = torch.zeros_like(mask), centre
        cost = ridge_cost(x, w, b, mask, centre, 0.1, activation, fit_bias)
        total, _ = _slow(x, w, b, mask, centre, 0.1, activation, fit_bias, None)
        np.testing.assert_allclose(cost.total, total, rtol=1e-6, atol=1e-12)
        assert (cost.norm_term[1] == 0).all()
        assert cost.not_converged == 0


@pytest.mark.parametrize("activation", [None, "gelu"])
def test_pairs_left_out_are_nan(rng, activation):
    layer = _layer(rng)
    pairs = torch.rand(WIDTH, WIDTH, generator=rng) < 0.5
    pairs[2] = False
    some, every = (ridge_cost(*layer, 0.1, activation, pairs=chosen) for chosen in (pairs, None))
    for part, whole in zip(
        (some.total, some.data_term, some.norm_term), (every.total, every.data_term, every.norm_term)
    ):
        assert torch.equal(part.isnan(), ~pairs)
        torch.testing.assert_close(part[pairs], whole[pairs], rtol=1e-6, atol=1e-8)


def test_what_did_not_converge_is_counted(rng):
    layer = _layer(rng)
    cost = ridge_cost(*layer, 0.01, "gelu", max_steps=1)
    assert cost.not_converged > 0
    best = ridge_cost(*layer, 0.01, "gelu")
    assert best.not_converged == 0
    assert (cost.total >= best.total * (1 - 1e-6)).all()


@pytest.mark.parametrize("fit_bias", [True, False])
def test_moments_are_rows(rng, fit_bias):
    x, *layer = _layer(rng)
    stream = MomentStream([(0, 0)])
    for part in x.split(11):
        stream.add(part[None])
    for beta in (1e-3, 1.0):
        rows, moments = (ridge_cost(given, *layer, beta, fit_bias=fit_bias) for given in (x, stream.finish()))
        torch.testing.assert_close(rows.total, moments.total, rtol=1e-10, atol=0)


def test_pairs_in_chunks_are_pairs_at_once(rng, monkeypatch):
    layer = _layer(rng)
    for activation in (None, "gelu"):
        at_once = ridge_cost(*layer, 0.1, activation).total
        for room in ("ridge", "ridge_activation"):
            monkeypatch.setattr(f"lmc.costs.{room}.chunk", lambda *sizes, **_: 3)
        in_chunks = ridge_cost(*layer, 0.1, activation).total
        monkeypatch.undo()
        torch.testing.assert_close(in_chunks, at_once, rtol=1e-7, atol=1e-10)


def test_a_constant_input_is_absorbed_by_the_bias(rng):
    x, *layer = _layer(rng)
    cost = ridge_cost(torch.ones_like(x), *layer, 0.1)
    assert (cost.total == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 0.0}, "not above 0"),
        ({"beta": -1.0}, "not above 0"),
        ({"beta": math.nan}, "not above 0"),
        ({"activation": "swish"}, "gelu, relu, tanh"),
        ({"norm": (torch.ones(WIDTH), torch.ones(WIDTH))}, "activation"),
        ({"x": torch.full((N, INPUTS), torch.nan)}, "NaN"),
    ],
)
def test_what_makes_no_sense_is_refused(rng, change, message):
    x, weight, bias, mask, centre = _layer(rng)
    given = {"x": x, "weight": weight, "bias": bias, "mask": mask, "centre": centre, "beta": 0.1}
    with pytest.raises(LmcError, match=message):
        ridge_cost(**{**given, **change})


def test_an_activation_needs_rows(rng):
    x, *layer = _layer(rng)
    stream = MomentStream([(0, 0)])
    stream.add(x[None])
    with pytest.raises(LmcError, match="not moments"):
        ridge_cost(stream.finish(), *layer, 0.1, "gelu")
