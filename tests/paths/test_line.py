"""The line begins and ends at its runs, and is the weights' average in between."""

import pytest
import torch
from torch import nn

from lmc.merging import MERGERS, Material
from lmc.models.stack import stack_states, state_of
from lmc.paths import Scene, interpolate, line, scan
from lmc.recording import evaluate, reestimate

ALPHAS = [0.0, 0.1, 0.25, 0.5, 1.0]


class Reshaping(nn.Module):
    """Reads the data with a linear layer over the last axis, without flattening them first."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.LazyLinear(4)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)).cumsum(1).flatten(1))


def _own(shape):
    def build(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Reshaping()
            network(torch.zeros(1, *shape))
            return network

    return build


@pytest.fixture(params=["layer", "batch", "none", "nobias", "conv", "tokens", "token", "image"])
def case(request, pico, conv_net, samples):
    """A builder of networks, and the splits to evaluate them on."""
    kind = request.param
    shape = {"conv": (2, 4, 4), "tokens": (2, 3), "token": (1, 3), "image": (2, 2, 3)}.get(kind, (2, 3))
    build = {
        "conv": lambda seed: conv_net(seed, norm=True),
        "nobias": lambda seed: pico(seed, bias=False),
        "tokens": _own(shape),
        "token": _own(shape),
        "image": _own(shape),
    }.get(kind, lambda seed: pico(seed, norm=kind))
    return kind, build, {"train": samples(40, shape), "test": samples(11, shape, seed=1)}


def _scan(task, build, splits, statistics=None, alphas=ALPHAS):
    a, b = state_of(build(1)), state_of(build(2))
    return scan(Scene(build(0), a, b, alphas, splits, task.losses, task.correct, statistics))


def _plain(task, build, state, inputs, targets):
    network = build(0)
    network.load_state_dict(state)
    with torch.no_grad():
        outputs = network.eval()(inputs)
    return float(task.losses(outputs, targets).mean()), float(task.correct(outputs, targets).mean())


def test_the_points_of_a_line(pico_states):
    a, b = pico_states(2, norm="batch")
    b["norms.0.num_batches_tracked"] += 5
    points = interpolate(a, b, ALPHAS)
    for name, first in a.items():
        assert torch.equal(points[name][0], first)
        if first.is_floating_point():
            assert torch.equal(points[name][-1], b[name])
            assert not torch.equal(first, b[name])
            torch.testing.assert_close(points[name][1], 0.9 * first + 0.1 * b[name])
            torch.testing.assert_close(points[name][3], (first + b[name]) / 2)
        else:
            assert (points[name] == first).all()
    assert not any(points[name].data_ptr() == a[name].data_ptr() for name in a)


def test_every_point_is_the_plain_average_evaluated(case, task):
    _, build, splits = case
    a, b = state_of(build(1)), state_of(build(2))
    found = _scan(task, build, splits)
    assert {*found} == {"train", "test"}
    for name, (inputs, targets) in splits.items():
        loss, accuracy = found[name]
        for place, alpha in enumerate(ALPHAS):
            average = {
                key: (1 - alpha) * value + alpha * b[key] if value.is_floating_point() else value
                for key, value in a.items()
            }
            wanted_loss, wanted_accuracy = _plain(task, build, average, inputs, targets)
            assert float(loss[place]) == pytest.approx(wanted_loss, rel=1e-5)
            assert float(accuracy[place]) == pytest.approx(wanted_accuracy)


def test_the_ends_are_the_stored_runs(case, task):
    """The same networks: their weights to the bit, their losses as evaluated on their own."""
    _, build, splits = case
    ends = stack_states([state_of(build(1)), state_of(build(2))])
    for name, (loss, accuracy) in _scan(task, build, splits).items():
        own_loss, own_accuracy = evaluate(build(0), ends, *splits[name], task.losses, task.correct)
        torch.testing.assert_close(loss[[0, -1]], own_loss, rtol=1e-6, atol=0)
        assert torch.equal(accuracy[[0, -1]], own_accuracy)


def test_sharing_the_first_layer_changes_nothing(case, task, monkeypatch):
    kind, build, splits = case
    example = splits["train"][0][:1]
    names = {"conv": None, "tokens": "first", "token": "first", "image": "first"}
    found = line.first_linear(build(0), state_of(build(1)), example)
    shared = _scan(task, build, splits)
    monkeypatch.setattr(line, "first_linear", lambda *_: None)
    for name, (loss, accuracy) in _scan(task, build, splits).items():
        torch.testing.assert_close(shared[name][0], loss, rtol=1e-5, atol=0)
        assert torch.equal(shared[name][1], accuracy)
    wanted = names.get(kind, "layers.0")
    assert found == (wanted and (wanted, example.shape[1:] if wanted == "first" else torch.Size([6])))


def test_a_layer_that_does_not_read_the_data_as_they_are_is_not_shared(samples):
    scaled = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 2))
    assert line.first_linear(scaled, state_of(scaled), samples(1)[0]) is None
    merged = nn.Sequential(nn.Flatten(0, 1), nn.Linear(3, 2))  # rows of a sample become samples
    assert line.first_linear(merged, state_of(merged), samples(1)[0]) is None
    assert line.first_linear(nn.Flatten(), {"x": torch.zeros(1)}, samples(1)[0]) is None


def test_a_line_from_a_network_to_itself_is_flat(case, task):
    _, build, splits = case
    state = state_of(build(1))
    scene = Scene(build(0), state, state, ALPHAS, splits, task.losses, task.correct)
    for loss, accuracy in scan(scene).values():
        torch.testing.assert_close(loss, loss[:1].expand(5), rtol=1e-6, atol=0)
        assert (accuracy == accuracy[0]).all()


def test_statistics_are_reestimated_at_every_point(pico, samples, task):
    build, splits = (lambda seed: pico(seed, norm="batch")), {"test": samples(30, seed=1)}
    train = samples(40)[0]
    found, stored = _scan(task, build, splits, train)["test"], _scan(task, build, splits)["test"]
    assert not torch.isclose(found[0], stored[0], rtol=1e-3).any()
    a, b = state_of(build(1)), state_of(build(2))
    for place, alpha in enumerate(ALPHAS):
        average = {
            key: (1 - alpha) * value + alpha * b[key] if value.is_floating_point() else value
            for key, value in a.items()
        }
        fresh = reestimate(build(0), stack_states([average]), train)
        wanted = _plain(task, build, {key: value[0] for key, value in fresh.items()}, *splits["test"])
        assert float(found[0][place]) == pytest.approx(wanted[0], rel=1e-5)
        assert float(found[1][place]) == pytest.approx(wanted[1])


def test_statistics_change_nothing_without_batch_norm(pico, samples, task):
    splits = {"test": samples(20)}
    one, other = (_scan(task, pico, splits, statistics) for statistics in (None, samples(40)[0]))
    assert torch.equal(one["test"][0], other["test"][0])


def test_an_empty_split_is_nan_and_does_not_hide_the_others(pico, samples, task):
    inputs, targets = samples(20)
    found = _scan(task, pico, {"val": (inputs[:0], targets[:0]), "test": (inputs, targets)})
    assert found["val"][0].isnan().all()
    assert found["test"][0].isfinite().all()


def test_the_mean_of_two_is_the_middle_of_the_line(pico, pico_states, samples):
    a, b = pico_states(2, norm="batch")
    material = Material([a, b], pico(norm="batch"), samples(4)[0], None)
    middle = MERGERS["mean"](material).state
    for name, value in interpolate(a, b, [0.5]).items():
        torch.testing.assert_close(middle[name], value[0], rtol=1e-6, atol=0)
