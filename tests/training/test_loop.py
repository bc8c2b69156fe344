"""A run is the same alone and in company, stopped or not; nothing of a run reaches its neighbours."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lmc.models.stack import stack_states, unstack
from lmc.training import Batch, Fit, Position, Recipe, Trainee, batch_bounds, batch_loss, orders
from lmc.training.optimisers import clip
from lmc.training.schedules import SCHEDULES

# A bias before BatchNorm has no gradient but rounding, which AdamW would scale up: it means nothing.
MODELS = [{"norm": "layer"}, {"norm": "batch", "bias": False}, {"norm": "none"}]
W = ("w", {"num_fixed": 2})


def _states(training):
    return {name: value.clone() for name, value in training.trainee.states().items()}


def _same(one, other):
    return {*one} == {*other} and all(torch.equal(one[name], other[name]) for name in one)


def _close(one, other):
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_run_beside_others_is_the_run_alone(start, model, optimiser):
    recipe = {"optimiser": optimiser, "clip": 0.5, "schedule": "cosine", "warmup": 1}
    together = start([5, 1, 8], W, model=model, **recipe)
    epochs = []
    together.fit.run([epochs.append])
    for place, seed in enumerate([5, 1, 8]):
        alone, seen = start([seed], W, model=model, **recipe), []
        alone.fit.run([seen.append])
        _close(unstack(_states(together), place), unstack(_states(alone), 0))
        for one, other in zip(epochs, seen, strict=True):
            assert float(one.loss[place]) == pytest.approx(float(other.loss[0]), rel=1e-3)
            assert one.learning_rate == other.learning_rate
    assert not torch.equal(epochs[-1].loss[:1], epochs[-1].loss[1:2])


@pytest.mark.parametrize("model", [*MODELS, {"dropout": 0.4}], ids=str)
def test_the_same_twice_is_the_same_to_the_bit(start, model):
    seeds = [2] if "dropout" in model else [2, 3]
    one, two = start(seeds, W, model=model), start(seeds, W, model=model)
    one.fit.run()
    torch.rand(7)
    two.fit.run()
    assert _same(_states(one), _states(two))


@pytest.mark.parametrize("model", [*MODELS, {"dropout": 0.4, "norm": "batch"}], ids=str)
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("after", [0, 2, 5, 8])
def test_stopped_and_resumed_is_uninterrupted(start, model, optimiser, after):
    """After a step in an epoch, at its very end, and before the first step."""
    seeds = [4] if "dropout" in model else [4, 6]
    recipe = {"optimiser": optimiser, "schedule": "linear", "warmup": 2}
    whole, seen = start(seeds, W, model=model, **recipe), []
    assert whole.fit.run([seen.append])
    first, again = start(seeds, W, model=model, **recipe), []
    left = iter(range(after + 1))
    assert not first.fit.run([again.append], lambda: next(left) == after)
    progress = [
        {name: value.clone() for name, value in first.fit.tensors(run).items()} for run in range(len(seeds))
    ]
    states = [unstack(first.trainee.states(), run) for run in range(len(seeds))]
    assert _same(_states(first), _states(whole)) is False
    second = start(seeds, W, model=model, states=states, **recipe)
    second.fit.restore(progress)
    assert (second.fit.position.epoch, second.fit.position.step) == divmod(after, 5)
    assert second.fit.run([again.append])
    assert _same(_states(second), _states(whole))
    assert [epoch.number for epoch in again] == [1, 2, 3]
    for one, other in zip(seen, again, strict=True):
        assert torch.equal(one.loss, other.loss)
        assert torch.equal(one.accuracy, other.accuracy)


def test_runs_resumed_together_may_have_been_stopped_apart(start):
    whole = start([1, 2], W)
    whole.fit.run()
    parts = []
    for seed in (1, 2):
        one, left = start([seed], W), iter(range(9))
        one.fit.run(stopped=lambda left=left: next(left) == 7)
        parts.append((unstack(one.trainee.states(), 0), one.fit.tensors(0)))
    together = start([1, 2], W, states=[state for state, _ in parts])
    together.fit.restore([progress for _, progress in parts])
    together.fit.run()
    _close(_states(whole), _states(together))


def test_the_same_loop_goes_on_where_it_was_stopped(start):
    whole, pausing = start([1, 2]), start([1, 2])
    whole.fit.run()
    asked = iter([False, True] * 40)
    rounds = 0
    while not pausing.fit.run(stopped=lambda: next(asked)):
        rounds += 1
    assert rounds == 14
    assert _same(_states(whole), _states(pausing))


def test_a_diverging_run_does_not_touch_its_neighbours(start):
    calm = start([0, 1, 2], W, clip=1.0)
    states = [unstack(calm.trainee.states(), run) for run in range(3)]
    states[1]["layers.0.weight"][0, 0] = torch.nan
    wild = start([0, 1, 2], W, clip=1.0, states=states)
    epochs = []
    wild.fit.run([epochs.append])
    calm.fit.run()
    assert [epoch.alive.tolist() for epoch in epochs] == [[True, False, True]] * 3
    assert calm.fit.alive.all()
    for run in (0, 2):
        assert _same(unstack(_states(wild), run), unstack(_states(calm), run))


def test_what_a_hook_was_told_stays_as_it_was_and_training_ends_when_none_is_left(start):
    training, epochs = start([0, 1], epochs=6), []

    def poison(epoch):
        epochs.append(epoch)
        with torch.no_grad():
            training.fit.leaves["layers.1.bias"][: epoch.number] = torch.inf

    assert training.fit.run([poison])
    assert [epoch.alive.tolist() for epoch in epochs] == [[True, True], [False, True], [False, False]]
    assert [epoch.number for epoch in epochs] == [1, 2, 3]


def test_clip_scales_each_run_by_its_own_norm(rng):
    leaves = [torch.zeros(3, 4, 2), torch.zeros(3, 5)]
    for leaf in leaves:
        leaf.grad = torch.randn(leaf.shape, generator=rng) * torch.tensor([0.01, 1.0, 100.0]).view(
            -1, *[1] * (leaf.dim() - 1)
        )
    before = [leaf.grad.clone() for leaf in leaves]
    clip([*leaves, torch.zeros(3, 1)], 0.5)
    for run in range(3):
        norm = math.sqrt(sum(float(grad[run].square().sum()) for grad in before))
        for leaf, grad in zip(leaves, before, strict=True):
            torch.testing.assert_close(leaf.grad[run], grad[run] * min(1.0, 0.5 / norm))
    assert torch.equal(leaves[0].grad[0], before[0][0])
    assert not torch.equal(leaves[0].grad[1], before[0][1])


def test_the_epochs_means_are_over_samples(start, task):
    """At learning rate zero the running loss is the loss, each sample once (the dropped last one apart)."""
    training, epochs = start([0, 1], learning_rate=0.0, epochs=1, count=22), []
    training.fit.run([epochs.append])
    network = training.trainee.module.eval()
    for run in range(2):
        network.load_state_dict(unstack(training.trainee.states(), run))
        with torch.no_grad():
            outputs = network(training.inputs)
        assert float(epochs[0].loss[run]) == pytest.approx(
            float(task.losses(outputs, training.targets).mean()), rel=1e-5
        )
        assert float(epochs[0].accuracy[run]) == pytest.approx(
            float(task.correct(outputs, training.targets).mean())
        )


@given(st.integers(1, 200), st.integers(1, 64))
def test_batches_cover_all_samples_but_a_last_single_one(samples, size):
    bounds = batch_bounds(samples, size)
    assert bounds[0][0] == 0
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(bounds))
    assert all(end - start == size for start, end in bounds[:-1])
    lengths = [end - start for start, end in bounds]
    assert 1 <= lengths[-1] <= size
    if samples > size > 1 and samples % size == 1:
        assert bounds[-1][1] == samples - 1
    else:
        assert bounds[-1][1] == samples
    assert len(bounds) == 1 or size == 1 or min(lengths) > 1


def test_orders_are_permutations_of_a_runs_own_seed_and_epoch():
    order = orders([3, 5, 3], 50)
    first = order(0)
    assert first.shape == (3, 50)
    for row in first:
        assert sorted(row.tolist()) == list(range(50))
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(orders([5], 50)(0)[0], first[1])
    assert not torch.equal(order(1)[0], first[0])
    assert torch.equal(order(7), orders([3, 5, 3], 50)(7))


def _rates(start, **recipe):
    training, rates = start([0], learning_rate=0.5, count=20, **recipe), []
    plain = training.fit.optimiser.step

    def step():
        rates.append(training.fit.optimiser.param_groups[0]["lr"])
        return plain()

    training.fit.optimiser.step = step
    epochs = []
    training.fit.run([epochs.append])
    assert [epoch.learning_rate for epoch in epochs] == rates[4::5]
    return rates


def test_schedules_as_the_optimiser_sees_them(start):
    assert _rates(start, epochs=2) == [0.5] * 10
    rising = _rates(start, schedule="linear", warmup=2, epochs=4)
    assert rising == pytest.approx([0.5 * step / 10 for step in range(1, 11)] + [0.5] * 10)
    assert _rates(start, schedule="linear", epochs=2) == [0.5] * 10
    growing = _rates(start, schedule="exponential", warmup=3, warmup_factor=1.259, epochs=5)
    assert growing == pytest.approx([0.5 * 1.259 ** min(epoch, 3) for epoch in range(5) for _ in range(5)])
    falling = _rates(start, schedule="cosine", epochs=6)
    assert falling == pytest.approx([0.25 * (1 + math.cos(math.pi * step / 30)) for step in range(30)])
    assert falling[-1] < 0.01 * 0.5
    both = _rates(start, schedule="cosine", warmup=2, epochs=6)
    assert both[:10] == pytest.approx(rising[:10])
    assert both[10] == pytest.approx(0.5)
    assert both[10:] == sorted(both[10:], reverse=True)
    assert 0 <= both[-1] < 0.01


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_goes_below_zero_or_above_the_base_rate_by_itself(start, name):
    rates = _rates(start, schedule=name, warmup=9, epochs=3, warmup_factor=1.0)
    assert all(0 < rate <= 0.5 for rate in rates)


def test_networks_with_noise_train_one_at_a_time(start):
    with pytest.raises(ValueError, match="one run at a time"):
        start([0, 1], model={"dropout": 0.1})


def test_noise_differs_between_steps_epochs_and_runs(start):
    losses = {}
    for seed in (1, 2):
        training = start([seed], model={"dropout": 0.5}, count=8)
        rows = torch.arange(8)[None]
        losses |= {
            (seed, epoch, step): float(training.fit.objective(Batch(epoch, step, rows))[0].detach())
            for epoch in range(2)
            for step in range(2)
        }
        assert losses[seed, 0, 1] == float(training.fit.objective(Batch(0, 1, rows))[0].detach())
    within = [losses[1, epoch, step] for epoch in range(2) for step in range(2)]
    assert len({*within}) == 4
    draws = torch.get_rng_state()
    training.fit.run()
    assert torch.equal(torch.get_rng_state(), draws)


def test_the_loop_trains_any_tree():
    """No network: one number a run, drawn to its own target."""
    leaf, goal = torch.zeros(3, 1), torch.tensor([1.0, -2.0, 0.5])
    fit = Fit(
        {"x": leaf},
        lambda batch: ((leaf[:, 0] - goal).square(), torch.zeros(3)),
        lambda epoch: torch.zeros(3, 4, dtype=torch.long),
        Recipe(200, 4, "sgd", 0.1, 0.0, momentum=0.0),
    )
    assert fit.position == Position(0, 0, fit.position.loss, fit.position.accuracy)
    assert fit.run()
    torch.testing.assert_close(leaf[:, 0], goal)


def test_leaves_are_copies_and_views_are_the_networks_own_layout(pico, pico_states, samples, task):
    states = pico_states(2, norm="batch")
    tensors = stack_states(states)
    trainee = Trainee(pico(norm="batch"), tensors)
    assert trainee.leaves["layers.0.weight"].shape == (2, 6, 7)
    assert trainee.leaves["layers.0.weight"].is_contiguous()
    assert {*trainee.fixed} == {
        f"norms.{i}.{name}"
        for i in range(2)
        for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert _same(trainee.states(), tensors)
    before = {name: value.clone() for name, value in tensors.items()}
    inputs, targets = samples(8)
    loss = batch_loss(trainee, inputs, targets, task.losses, task.correct, [0, 1])
    with torch.no_grad():
        for leaf in trainee.leaves.values():
            leaf.add_(1)
        loss(Batch(0, 0, torch.arange(8).expand(2, 8)))
    assert _same(tensors, before)
    torch.testing.assert_close(trainee.states()["layers.0.weight"], before["layers.0.weight"] + 1)


def test_statistics_of_batch_norm_are_those_of_a_plain_network(start):
    training = start([3], model={"norm": "batch"}, epochs=1, learning_rate=0.0, count=8)
    network = training.trainee.module
    plain = {name: value.clone() for name, value in unstack(training.trainee.states(), 0).items()}
    training.fit.run()
    network.load_state_dict(plain)
    network.train()
    order = orders([3], 8)(0)[0]
    with torch.no_grad():
        for batch in order.split(4):
            network(training.inputs[batch])
    for name, value in network.state_dict().items():
        torch.testing.assert_close(training.trainee.states()[name][0], value, rtol=1e-5, atol=1e-6)
    assert isinstance(network.norms[0], nn.BatchNorm1d)
    assert int(training.trainee.states()["norms.0.num_batches_tracked"][0]) == 2
