"""Norm costs: against a pseudo-inverse a slot, and ridge costs against 3,000 steps of AdamW a pair and beta."""

from __future__ import annotations

import time

import published
import pytest
import torch

from lmc.costs import principal_subspace, realisation_cost, ridge_cost
from lmc.models.stack import stack_states, unstack
from lmc.recording import record

LAYERS = [f"layers.{i}" for i in range(4)]
NEURONS, INPUTS, FIXED, SAMPLES = 256, 256, 64, 1_024
STEPS, LEARNING_RATE = 3_000, 5e-3
BETAS = [0.001, 0.01, 0.1, 1.0]
SLOT = 0


@pytest.fixture(scope="module")
def layers(data):
    """(weight, mask, centre, basis) of the four layers of a briefly trained MLP of variant w."""
    fixed = published.constraint()
    state = fixed.effective(published.network().state_dict())
    trainee, training = published.fit([state], data, fixed)
    published.take_steps(training, 200)
    state = unstack(trainee.states(), 0)
    points = {(layer, "input"): [(0, 0)] for layer in LAYERS}
    moments = record(published.network(), stack_states([state]), data.inputs[:10_000], points)
    return [
        (
            state[f"{layer}.weight"],
            fixed.masks[f"{layer}.weight"],
            fixed.centres[f"{layer}.weight"],
            principal_subspace(moments[layer, "input"]).basis,
        )
        for layer in LAYERS
    ]


def pseudo_inverses(weight, mask, centre, basis, hermitian=False):
    """THEORY 2 slot by slot; ``hermitian`` says to ``pinv`` that S is symmetric."""
    a, v = weight.double() @ basis, centre.double() @ basis
    cost = torch.empty(len(a), len(a), dtype=torch.float64)
    for slot in range(len(a)):
        gram = basis.mT @ (mask[slot, :, None].double() * basis)
        difference = a - v[slot]
        cost[slot] = (difference @ torch.linalg.pinv(gram, hermitian=hermitian) * difference).sum(1)
    return cost


def test_mahalanobis(layers, data, compare, note):
    sizes = ", ".join(f"{len(w)} slots of k = {u.shape[1]}" for w, _, _, u in layers)
    note(f"mahalanobis: {sizes}; {published.NUM_FIXED} inputs fixed, {data.source}")
    for layer in layers:
        torch.testing.assert_close(
            realisation_cost(*layer, "projected"), pseudo_inverses(*layer), rtol=1e-6, atol=1e-9
        )
    compare(
        "mahalanobis costs of four layers",
        lambda: [realisation_cost(*layer) for layer in layers],
        {
            "pinv per slot": lambda: [pseudo_inverses(*layer) for layer in layers],
            "hermitian pinv per slot": lambda: [pseudo_inverses(*layer, hermitian=True) for layer in layers],
        },
    )


@pytest.fixture(scope="module")
def wide():
    """Inputs (1024, 256), weights, biases, D and f of a 256-neuron layer of variant w, scale 1."""
    draw = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(INPUTS, INPUTS, generator=draw)).Q
    x = (torch.randn(SAMPLES, INPUTS, generator=draw) * torch.linspace(2, 0.05, INPUTS)) @ turn
    mask = torch.rand(NEURONS, INPUTS, generator=draw).argsort(1) >= FIXED
    centre = torch.where(mask, 0.0, torch.randn(NEURONS, INPUTS, generator=draw))
    weight = torch.where(mask, torch.randn(NEURONS, INPUTS, generator=draw) / INPUTS**0.5, centre)
    return x, weight, 0.1 * torch.randn(NEURONS, generator=draw), mask, centre


def descent(x, weight, bias, mask, centre, beta, phi):
    """Objectives (n,) of one slot for all neurons at once, in float32, over its trainable inputs only."""
    free = mask[SLOT]
    inputs, fixed, target = x[:, free], x @ centre[SLOT], phi(x @ weight.mT + bias)
    theta = torch.zeros(len(weight), int(free.sum()), requires_grad=True)
    b = bias.clone().requires_grad_(True)
    optimiser = torch.optim.AdamW([theta, b], lr=LEARNING_RATE, weight_decay=0, fused=True)
    for _ in range(STEPS):
        optimiser.zero_grad()
        error = phi(inputs @ theta.mT + fixed[:, None] + b) - target
        objective = theta.square().sum(1) + error.square().mean(0) / beta
        objective.sum().backward()
        optimiser.step()
    return objective.detach().double()


def by_turns(ours, plain, pairs, rounds):
    """Seconds a pair of either way and ratios, from rounds by turns; ours computes pairs[0] pairs, plain pairs[1]."""
    taken = []
    for _ in range(rounds):
        seconds = []
        for way, count in zip((ours, plain), pairs, strict=True):
            began = time.perf_counter()
            way()
            seconds.append((time.perf_counter() - began) / count)
        taken.append(seconds)
    return taken


def describe(taken):
    ratios = sorted(plain / ours for ours, plain in taken)
    middle = sorted(taken)[len(taken) // 2]
    return (
        f"{middle[0] * 1e6:,.1f} us a pair against {middle[1] * 1e3:,.1f} ms: "
        f"ratio {ratios[len(ratios) // 2]:,.0f} ({ratios[0]:,.0f} to {ratios[-1]:,.0f}, {len(ratios)} rounds)"
    )


@pytest.mark.parametrize("beta", BETAS)
def test_ridge(wide, benchmark, note, beta):
    """All 65,536 pairs in closed form; the plain way does one slot's 256."""
    note(
        f"ridge: {NEURONS} neurons of {INPUTS} inputs, {FIXED} fixed, {SAMPLES} samples; AdamW on slot {SLOT}"
    )
    ours, found = lambda: ridge_cost(*wide, beta), []
    cost = benchmark.pedantic(ours, rounds=1, warmup_rounds=1)
    taken = by_turns(
        ours, lambda: found.append(descent(*wide, beta, lambda z: z)), (NEURONS**2, NEURONS), rounds=2
    )
    assert (cost.total[SLOT] <= found[0] * (1 + 1e-5) + 1e-6).all()
    above = float((found[0] / cost.total[SLOT]).median())
    note(
        f"ridge, identity, beta {beta}: {describe(taken)}; AdamW's objective is {above:.3f} of ours (median)"
    )


@pytest.mark.parametrize("beta", BETAS)
def test_ridge_through_gelu(wide, benchmark, note, beta):
    """One slot's 256 pairs either way. Not convex: single pairs may end in the higher of two minima, on either side."""
    pairs = torch.zeros(NEURONS, NEURONS, dtype=torch.bool)
    pairs[SLOT] = True
    ours, found = lambda: ridge_cost(*wide, beta, "gelu", pairs=pairs), []
    cost = benchmark.pedantic(ours, rounds=1, warmup_rounds=1)
    gelu = torch.nn.functional.gelu
    taken = by_turns(ours, lambda: found.append(descent(*wide, beta, gelu)), (NEURONS, NEURONS), rounds=2)
    assert cost.not_converged == 0
    relative = cost.total[SLOT] / found[0]
    assert cost.total[SLOT].mean() <= found[0].mean()
    worse, better = float((relative > 1.001).double().mean()), float((relative < 0.999).double().mean())
    note(
        f"ridge, gelu, beta {beta}: {describe(taken)}; objective {float(cost.total[SLOT].mean() / found[0].mean()):.3f}"
        f" of AdamW's in the mean, lower for {better:.0%} of pairs, higher for {worse:.0%} (by {float(relative.max()) - 1:.1%} at most)"
    )
