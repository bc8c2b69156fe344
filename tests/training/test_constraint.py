"""Training holds w and masks its gradient: that is training theta."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from lmc import variants
from lmc.models.stack import state_of, unstack
from lmc.training import batch_bounds, orders

VARIANTS = [
    None,
    ("w", {"num_fixed": 3, "scale": 0.5}),
    ("w", {"num_fixed": [2, 0, 4], "scale": [0.0, 1, 1]}),
    ("syre", {"scale": 0.7}),
]


def _adamw(parameters, recipe):
    return torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _sgd(parameters, recipe):
    return torch.optim.SGD(
        parameters, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov
    )


OPTIMISERS = [
    ({"optimiser": "adamw"}, _adamw),
    ({"optimiser": "adamw", "clip": 0.05}, _adamw),
    ({"optimiser": "sgd", "momentum": 0.9}, _sgd),
    ({"optimiser": "sgd", "momentum": 0.9, "nesterov": True}, _sgd),
    ({"optimiser": "sgd", "momentum": 0.0}, _sgd),
]


def _slow(network, constraint, inputs, targets, seed, recipe, make):
    """One run in the plain way: theta is trained, w = D * theta + f is made in every forward pass."""
    theta = dict(network.named_parameters())
    state = {name: nn.Parameter(value.detach().clone()) for name, value in theta.items()}
    optimiser = make([*state.values()], recipe)
    order = orders([seed], len(inputs))
    for epoch in range(recipe.epochs):
        indices = order(epoch)[0]
        for start, end in batch_bounds(len(inputs), recipe.batch_size):
            batch = indices[start:end]
            effective = dict(state)
            for name in {*constraint.masks, *constraint.centres}:
                mask = constraint.masks.get(name, torch.ones(()))
                effective[name] = mask * state[name] + constraint.centres.get(name, 0)
            loss = nn.functional.cross_entropy(
                functional_call(network, effective, (inputs[batch],)), targets[batch]
            )
            optimiser.zero_grad()
            loss.backward()
            if recipe.clip is not None:
                nn.utils.clip_grad_norm_(state.values(), recipe.clip)
            if isinstance(optimiser, torch.optim.SGD):  # decay is decoupled for every optimiser
                with torch.no_grad():
                    for value in state.values():
                        value.mul_(1 - recipe.learning_rate * recipe.weight_decay)
            optimiser.step()
    return constraint.effective(
        {**state_of(network), **{name: value.detach() for name, value in state.items()}}
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize(
    ("recipe", "make"), OPTIMISERS, ids=lambda value: str(value) if isinstance(value, dict) else ""
)
def test_training_w_is_training_theta(start, pico, variant, recipe, make):
    training = start([3, 4], variant, **recipe)
    before = {name: value.clone() for name, value in training.trainee.states().items()}
    assert training.fit.run()
    constraint = variants.Constraint()
    if variant:
        constraint = variants.build(variant[0], variant[1], pico(3), 1, training.inputs[:2])
    for run, seed in enumerate([3, 4]):
        wanted = _slow(
            pico(seed).train(), constraint, training.inputs, training.targets, seed, training.fit.recipe, make
        )
        for name, value in unstack(training.trainee.states(), run).items():
            torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-5)
            assert not torch.equal(value, before[name][run])


@pytest.mark.parametrize(
    "variant", [("w", {"num_fixed": 3, "scale": 0.3}), ("w", {"num_fixed": 3, "scale": 0.0})], ids=str
)
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("net", ["mlp", "conv"])
def test_a_fixed_entry_never_moves_and_every_free_one_does(start, conv_net, variant, optimiser, net):
    own = {"net": lambda seed: conv_net(seed, norm=True), "shape": (2, 4, 4)} if net == "conv" else {}
    training = start([0, 1, 2], variant, optimiser=optimiser, clip=1.0, **own)
    before = {name: value.clone() for name, value in training.trainee.states().items()}
    training.fit.run()
    after = training.trainee.states()
    module = training.trainee.module
    constraint = variants.build(variant[0], variant[1], module, 1, training.inputs[:2])
    assert len(constraint.masks) == (2 if net == "conv" else 3)
    for run in range(3):
        state = unstack(after, run)
        assert constraint.broken_by(state) == []
        for name, mask in constraint.masks.items():
            assert torch.equal(state[name][~mask], before[name][run][~mask])
            assert (state[name][mask] != before[name][run][mask]).all()


@pytest.mark.parametrize("warmup", [0, 4])
def test_decay_pulls_every_weight_to_its_centre(start, warmup):
    """Without a gradient each step leaves 1 - lr * wd of the distance; biases and norms go to zero."""
    syre = ("syre", {"scale": 2.0})
    training = start(
        [0, 1], syre, learning_rate=0.1, weight_decay=0.5, epochs=1, schedule="linear", warmup=warmup
    )
    before = {name: leaf.detach().clone() for name, leaf in training.fit.leaves.items()}
    fit = training.fit
    plain = fit.objective
    fit.objective = lambda batch: tuple(value * 0 for value in plain(batch))
    fit.run()
    steps = len(batch_bounds(21, 4))
    factors = [(step + 1) / (steps * warmup) if warmup else 1.0 for step in range(steps)]
    left = math.prod(1 - 0.05 * factor for factor in factors)
    for name, leaf in fit.leaves.items():
        centre = fit.centres.get(name, torch.zeros_like(leaf))
        torch.testing.assert_close(
            leaf.detach(), centre + left * (before[name] - centre), rtol=1e-5, atol=1e-6
        )
    assert {name for name in fit.leaves if name in fit.centres} == {f"layers.{i}.weight" for i in range(3)}


def test_without_rate_and_decay_nothing_moves(start):
    training = start([0], ("syre", {}), weight_decay=0.0, learning_rate=0.0)
    before = training.trainee.states()["layers.0.weight"].clone()
    training.fit.run()
    assert torch.equal(training.trainee.states()["layers.0.weight"], before)
