"""Networks of any kind train as a plain loop over one model trains them, stacked or not."""

import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from lmc.core import seeds
from lmc.models.stack import state_of, unstack
from lmc.training import Samples, batch_bounds, orders, way_of_training
from lmc.training.way import Way
from tests.training import zoo

RATE, DECAY = 0.05, 0.2


def _built(kind, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind().train()


def _way(kind, samples, task):
    network = _built(kind, 9)
    return way_of_training(network, state_of(network), Samples(*samples(21), task.losses))


def _by_hand(kind, seed, inputs, targets, epochs=2):
    """Seeded as README says: every step draws from (seed, epoch, step)."""
    network, order = _built(kind, seed), orders([seed], len(inputs))
    trained = [each for each in network.parameters() if each.requires_grad]
    for epoch in range(epochs):
        for step, (start, end) in enumerate(batch_bounds(len(inputs), 8)):
            batch, noise = order(epoch)[0][start:end], seeds.derive("noise", seed, epoch, step)
            torch.manual_seed(noise), np.random.seed(noise % 2**32), random.seed(noise)
            for own in vars(network).values():
                if isinstance(own, torch.Generator):
                    own.manual_seed(noise)
            loss = nn.functional.cross_entropy(network(inputs[batch].clone()), targets[batch])
            network.zero_grad()
            loss.backward()
            with torch.no_grad():
                for weight in trained:
                    if weight.grad is not None:
                        weight.mul_(1 - RATE * DECAY).sub_(RATE * weight.grad)
    return network.state_dict()


@pytest.fixture(autouse=True)
def unmoved_generators():
    state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    torch.set_rng_state(state[0]), np.random.set_state(state[1]), random.setstate(state[2])


def _train(start, kind, runs, way):
    recipe = {"optimiser": "sgd", "momentum": 0.0, "learning_rate": RATE, "weight_decay": DECAY}
    training = start(runs, net=lambda seed: _built(kind, seed), epochs=2, batch_size=8, **recipe)
    if way.recomputes:
        training.fit.within = training.trainee.held
    training.fit.run()
    return training


@pytest.mark.parametrize("kind", zoo.ALL, ids=lambda kind: kind.__name__)
def test_every_network_trains_as_by_hand(start, samples, task, kind):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "None of the inputs have requires_grad", UserWarning)
        way, (inputs, targets) = _way(kind, samples, task), samples(21)
        assert way.seeded
        for runs in [[3], [5]] if way.alone else [[3, 5]]:
            training = _train(start, kind, runs, way)
            assert torch.equal(training.inputs, inputs)  # the data stay as they were
            for place, seed in enumerate(runs):
                found = unstack(training.trainee.states(), place)
                for name, value in _by_hand(kind, seed, inputs, targets).items():
                    torch.testing.assert_close(found[name], value, rtol=1e-4, atol=2e-5)


def test_what_trains_stacked_and_what_does_not(samples, task):
    ways = {kind: _way(kind, samples, task) for kind in zoo.ALL if kind is not zoo.Reentrant}
    assert {kind: ways[kind] for kind in zoo.STACKED} == dict.fromkeys(zoo.STACKED, Way())
    assert {ways[kind].alone for kind in zoo.DRAW} == {"draws random numbers"}
    assert all("again in the backward pass" in ways[kind].alone for kind in zoo.RECOMPUTE if kind in ways)
    assert all("vmap" in ways[kind].alone for kind in zoo.NO_RULE)
    assert {kind for kind, way in ways.items() if way.recomputes} == {*zoo.RECOMPUTE} - {zoo.Reentrant}


def test_randomness_that_no_seed_reaches_is_told_from_what_is_seeded(samples, task):
    assert not _way(zoo.Unseeded, samples, task).seeded
    assert _way(zoo.NumpyNoise, samples, task).seeded


def test_checkpointing_needs_the_modules_own_tensors(start, samples, task):
    """The control: without them the backward pass reads other weights, and no error says so."""
    inputs, targets = samples(21)
    wrong = _train(start, zoo.Checkpointed, [3], Way()).trainee.states()["a.weight"][0]
    right = _train(start, zoo.Checkpointed, [3], Way(recomputes=True)).trainee.states()["a.weight"][0]
    wanted = _by_hand(zoo.Checkpointed, 3, inputs, targets)["a.weight"]
    torch.testing.assert_close(right, wanted, rtol=1e-4, atol=2e-5)
    assert not torch.allclose(wrong, wanted, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", [zoo.FunctionalDropout, zoo.NumpyNoise, zoo.OwnGenerator])
def test_noise_is_each_steps_and_each_runs_own(start, kind):
    """Without learning, losses of one batch differ by what is drawn alone."""
    from lmc.training import Batch

    rows, losses = torch.arange(8)[None], {}
    for seed in (1, 2):
        objective = start([seed], net=lambda _: _built(kind, 0), count=8).fit.objective
        for epoch, step in ((0, 0), (0, 1), (1, 0)):
            losses[seed, epoch, step] = float(objective(Batch(epoch, step, rows))[0].detach())
        assert losses[seed, 0, 1] == float(objective(Batch(0, 1, rows))[0].detach())
    assert len({*losses.values()}) == len(losses)


@pytest.mark.parametrize("variant", [("w", {"num_fixed": 2}), ("syre", {})], ids=str)
@pytest.mark.parametrize("kind", [zoo.FrozenLayer, zoo.FrozenBias])
def test_what_is_frozen_stays_under_a_variant(start, variant, kind):
    frozen = [name for name, each in _built(kind, 0).named_parameters() if not each.requires_grad]
    training = start([3, 5], variant, net=lambda seed: _built(kind, seed), clip=1.0)
    training.fit.run()
    for place, seed in enumerate([3, 5]):
        before, after = _built(kind, seed).state_dict(), unstack(training.trainee.states(), place)
        assert frozen
        assert all(torch.equal(before[name], after[name]) == (name in frozen) for name in before)
