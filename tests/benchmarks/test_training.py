"""Four MNIST MLPs of variant w trained as one stack, against one model at a time."""

from __future__ import annotations

from itertools import islice

import published
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lmc.models.stack import state_of, unstack

RUNS, STEPS = 4, 60


class Fixed(nn.Module):
    """D * theta + f in the forward pass, the way of published code, as a parametrisation."""

    def __init__(self, mask, centre):
        super().__init__()
        self.register_buffer("mask", mask)
        self.register_buffer("centre", centre)

    def forward(self, theta):
        return theta * self.mask + self.centre


def constrained(model, fixed):
    """The model with w = D * theta + f in its forward pass."""
    for name, mask in fixed.masks.items():
        layer = model.get_submodule(name.removesuffix(".weight"))
        centre = fixed.centres.get(name, torch.zeros_like(layer.weight))
        nn.utils.parametrize.register_parametrization(layer, "weight", Fixed(mask.float(), centre))
    return model


def optimiser_of(model):
    return torch.optim.AdamW(
        model.parameters(), lr=published.LEARNING_RATE, weight_decay=published.WEIGHT_DECAY
    )


def plain_steps(model, optimiser, batches):
    """One model's training loop."""
    model.train()
    total, seen = torch.zeros(()), 0
    for x, y in batches:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        total += loss.detach() * len(x)
        seen += len(x)
    return float(total) / seen


@pytest.fixture(scope="module")
def fixed():
    return published.constraint()


def test_same_numbers(data, fixed, benchmark):
    """Stacked w, masked gradient and lerp, is D * theta + f under torch's own AdamW, one model at a time."""
    thetas = [state_of(network) for network in map(published.network, range(RUNS))]
    trainee, training = published.fit([fixed.effective(theta) for theta in thetas], data, fixed)
    order = training.orders(0)
    benchmark.pedantic(published.take_steps, (training, 10), rounds=1)
    for run, theta in enumerate(thetas):
        model = published.network()
        model.load_state_dict(theta)
        constrained(model, fixed)
        batches = [order[run, 64 * step : 64 * step + 64] for step in range(10)]
        plain_steps(model, optimiser_of(model), [(data.inputs[i], data.targets[i]) for i in batches])
        found = unstack(trainee.states(), run)
        for name in found:
            module, _, leaf = name.rpartition(".")
            torch.testing.assert_close(
                found[name], getattr(model.get_submodule(module), leaf).detach(), rtol=0, atol=2e-4, msg=name
            )


def test_training(data, fixed, compare, note):
    """STEPS steps of all RUNS runs."""
    note(f"training: {RUNS} runs, {STEPS} steps each a round, batch 64 of 54,000 images, {data.source}")
    states = [fixed.effective(state_of(network)) for network in map(published.network, range(RUNS))]
    _, training = published.fit(states, data, fixed)
    inputs, targets = data.inputs[: data.train], data.targets[: data.train]
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=published.BATCH, shuffle=True)

    def one_at_a_time(models):
        members = [(model, optimiser_of(model)) for model in models]
        return lambda: [plain_steps(*member, islice(loader, STEPS)) for member in members]

    seeds = range(RUNS)
    compare(
        f"training {RUNS} runs of w",
        lambda: published.take_steps(training, STEPS),
        {
            "plain standard models": one_at_a_time([published.network(seed) for seed in seeds]),
            "plain models of w": one_at_a_time(
                [constrained(published.network(seed), fixed) for seed in seeds]
            ),
        },
    )
