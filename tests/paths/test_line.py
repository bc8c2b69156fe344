"""The line begins and ends at its runs, and is the weights' average in between."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from lmc.merging import MERGERS, Material
from lmc.models.stack import stack_states, state_of
from lmc.paths import Scene, interpolate, line, scan
from lmc.paths.first_layer import FirstLayer, first_layer
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
    found = first_layer(build(0), (state_of(build(1)), state_of(build(2))), splits["train"][0][:3])
    shared = _scan(task, build, splits)
    monkeypatch.setattr(line, "first_layer", lambda *_: None)
    for name, (loss, accuracy) in _scan(task, build, splits).items():
        torch.testing.assert_close(shared[name][0], loss, rtol=1e-5, atol=0)
        assert torch.equal(shared[name][1], accuracy)
    wanted = names.get(kind, "layers.0")
    shape = example.shape[1:] if wanted == "first" else torch.Size([6])
    assert found == (wanted and FirstLayer(wanted, shape))


class Scaled(nn.Linear):
    """Reads the data as they are, and is not linear in its weights."""

    def forward(self, x):
        return nn.functional.linear(x, self.weight / self.weight.norm(dim=1, keepdim=True), self.bias)


class Twice(nn.Module):
    """One layer called again on the data in another order."""

    def __init__(self, first=nn.Linear, then=torch.flip):
        super().__init__()
        self.first, self.last, self.then = first(6, 5), nn.Linear(5, 4), then

    def forward(self, x):
        x = x.flatten(1)
        h = torch.relu(self.first(x))
        return self.last(h if self.then is None else h + self.first(self.then(x, (1,))))


class Before(nn.Module):
    """Changes the data before the first layer reads them, perhaps where they lie."""

    def __init__(self, change):
        super().__init__()
        self.change, self.first = change, nn.Linear(6, 4)

    def forward(self, x):
        return self.first(self.change(x.flatten(1)))


def _transposed(x):
    return x.view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)


NOT_SHARED = {
    "a subclass": lambda: Twice(Scaled, None),
    "a norm before it": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 4)),
    "called twice": Twice,
    "flipped": lambda: Before(lambda x: x.flip(1)),
    "transposed": lambda: Before(_transposed),
    "other samples": lambda: Before(lambda x: x.flip(0)),
    "clamped": lambda: Before(lambda x: x.clamp(-2.5, 2.5)),
    "in place": lambda: Before(lambda x: x.clone().sub_(0.3)),
    "spectral norm": lambda: nn.Sequential(nn.Flatten(), spectral_norm(nn.Linear(6, 4))),
    "weight norm": lambda: nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(6, 4))),
    "pruned": lambda: nn.Sequential(nn.Flatten(), prune.random_unstructured(nn.Linear(6, 4), "weight", 0.5)),
    "no layer": nn.Flatten,
}


@pytest.mark.parametrize("build", NOT_SHARED.values(), ids=NOT_SHARED)
def test_a_layer_that_is_not_linear_in_the_data_is_not_shared(build, samples):
    made = build()
    state = state_of(made) or {"x": torch.zeros(1)}
    other = {name: value + 1 if value.is_floating_point() else value for name, value in state.items()}
    assert first_layer(made, (state, other), samples(4)[0]) is None


def test_a_plain_layer_behind_the_same_wrapping_is_shared(samples):
    """The control: the wrappers above do not hide a layer that can be shared."""
    for made in (Twice(then=None), Before(lambda x: x)):
        assert first_layer(made, (state_of(made), state_of(made)), samples(4)[0]).name == "first"


@pytest.mark.parametrize("kind", ["a subclass", "called twice", "flipped", "transposed", "clamped"])
def test_the_ends_and_the_middle_are_right_where_no_layer_is_shared(kind, samples, task):
    build = NOT_SHARED[kind]
    a, b = (build().requires_grad_(False) for _ in range(2))
    splits = {"test": samples(20, seed=1)}
    loss, _ = scan(
        Scene(build(), state_of(a), state_of(b), [0.0, 0.5, 1.0], splits, task.losses, task.correct)
    )["test"]
    middle = {name: (value + b.state_dict()[name]) / 2 for name, value in state_of(a).items()}
    for place, state in enumerate((state_of(a), middle, state_of(b))):
        own = build()
        own.load_state_dict(state)
        inputs, targets = splits["test"]
        assert float(loss[place]) == pytest.approx(
            float(F.cross_entropy(own(inputs), targets).detach()), rel=1e-5
        )


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
