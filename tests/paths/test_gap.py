"""What stands between the weight average and the mean representation, against its definition (THEORY 4)."""

import pytest
import torch
from torch import nn

from lmc.models.stack import Point, stack_states, state_of
from lmc.paths import Scene, gap, gaps, segments
from lmc.paths.cuts import captured
from lmc.recording import record
from tests.networks import Pixels, Steps

ALPHAS = [0.0, 0.3, 0.5, 1.0]
LAYERS = ["layers.0", "layers.1", "layers.2"]
TINY = 1e-12


@pytest.fixture
def make(pico):
    """A pico MLP in float64."""
    return lambda seed, **keywords: pico(seed, **keywords).double()


@pytest.fixture
def x(samples):
    return samples(33, dtype=torch.float64)[0]


def _found(network, other, inputs, layers=LAYERS, statistics=None, alphas=ALPHAS):
    a, b = state_of(network), state_of(other)
    there = segments(network, a, inputs[:4], layers)
    splits = {"all": (inputs, torch.zeros(len(inputs)))}
    return gaps(Scene(network, a, b, alphas, splits, _no_task, _no_task, statistics), there, "all")


def _no_task(*_):
    raise AssertionError("a gap asks for no losses")


def _average(a, b, alpha, build):
    network = build(0)
    mixed = {k: torch.lerp(v, b[k], alpha) if v.is_floating_point() else v for k, v in a.items()}
    network.load_state_dict(mixed)
    return network.eval()


def _between(network, other, inputs, point):
    a, b = captured(network, stack_states([state_of(network), state_of(other)]), inputs, [point])[point]
    return a, b


def _square(tensor):
    return float(tensor.square().sum(-1).mean())


def test_the_identity_of_the_cross_term(make, x):
    """W_l h_l = (1-l) W_A h_A + l W_B h_B - l (1-l) (W_A - W_B)(h_A - h_B), and the ratio made of it."""
    one, two = make(1), make(2)
    found = _found(one, two, x)
    for index, layer in enumerate(LAYERS):
        weights = one.layers[index].weight.detach(), two.layers[index].weight.detach()
        h = _between(one, two, x, Point(layer, "input"))
        for place, alpha in enumerate(ALPHAS):
            line = torch.lerp(*h, alpha) @ torch.lerp(*weights, alpha).T
            mean = torch.lerp(h[0] @ weights[0].T, h[1] @ weights[1].T, alpha)
            cross = alpha * (1 - alpha) * (h[0] - h[1]) @ (weights[0] - weights[1]).T
            torch.testing.assert_close(line, mean - cross, rtol=1e-10, atol=1e-12)
            wanted = _square(line - mean) / _square(mean)
            assert float(found[layer].cross_term[place]) == pytest.approx(wanted, rel=1e-9, abs=TINY)


def test_the_cross_term_needs_moments_alone(make, x):
    one, two = make(1), make(2)
    states = stack_states([state_of(one), state_of(two)])
    pairs = [(0, 0), (1, 1), (0, 1)]
    recorded = record(one, states, x, {Point(layer, "input"): pairs for layer in LAYERS})
    for layer, found in _found(one, two, x).items():
        a, b = states[f"{layer}.weight"]
        moments = recorded[Point(layer, "input")]
        both = moments.covariance(0, 1) + torch.outer(moments.mean[0], moments.mean[1])
        own_a, own_b = moments.second_moment(0), moments.second_moment(1)
        inner = lambda v, moment, w: torch.trace(v @ moment @ w.T)  # noqa: E731
        crossing = inner(a - b, own_a + own_b - both - both.T, a - b)
        wanted = gap.cross_terms(
            torch.tensor(ALPHAS, dtype=torch.float64),
            crossing,
            inner(a, own_a, a),
            inner(b, own_b, b),
            inner(a, both, b),
        )
        torch.testing.assert_close(found.cross_term, wanted, rtol=1e-8, atol=TINY)


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_the_other_three_by_hand(make, x, norm):
    build = lambda seed: make(seed, norm=norm)  # noqa: E731
    one, two = build(1), build(2)
    a, b = state_of(one), state_of(two)
    found = _found(one, two, x)
    for index, layer in enumerate(LAYERS[:2]):
        u = _between(one, two, x, Point(layer, "output"))
        h = _between(one, two, x, Point(f"activations.{index}", "output"))
        for place, alpha in enumerate(ALPHAS):
            network = _average(a, b, alpha, build)
            mean = torch.lerp(*h, alpha)
            with torch.no_grad():
                phi = network.activations[index](network.norms[index](torch.lerp(*u, alpha)))
            line, _ = _between(network, network, x, Point(f"activations.{index}", "output"))
            both = (1 - alpha) * _square(h[0]) + alpha * _square(h[1])
            cosine = 1 - nn.functional.cosine_similarity(line, mean, dim=1)
            for name, wanted in {
                "additivity_gap": _square(phi - mean) / _square(mean),
                "feature_gap": _square(line - mean) / both,
                "feature_cosine": float(cosine.mean()),
            }.items():
                measured = float(getattr(found[layer], name)[place])
                assert measured == pytest.approx(wanted, rel=1e-8, abs=TINY), (layer, alpha, name)
    assert found["layers.0"].feature_gap[2] > 0.01


def test_nothing_stands_between_at_the_ends_nor_between_a_network_and_itself(make, x):
    for found, places in ((_found(make(1), make(2), x), [0, -1]), (_found(make(1), make(1), x), slice(None))):
        for each in found.values():
            for values in vars(each).values():
                assert float(values[places].abs().max()) < TINY


def test_linear_layers_add(fill, x):
    """Without norm and activation only the cross term is left, none at the first layer."""
    one, two = (
        fill(nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Identity(), nn.Linear(5, 3)).double(), seed)
        for seed in (1, 2)
    )
    found = _found(one, two, x, ["1", "3"])
    assert all(float(each.additivity_gap.abs().max()) < TINY for each in found.values())
    assert float(found["1"].cross_term.abs().max()) < TINY
    assert float(found["1"].feature_gap.abs().max()) < TINY
    assert float(found["3"].cross_term[2]) > 0.01
    assert float(found["3"].feature_gap[2]) > 0.001


def test_positions_of_a_convolution_are_samples(conv_net, samples):
    one, two = (conv_net(seed).double() for seed in (1, 2))
    inputs = samples(9, (2, 4, 4), dtype=torch.float64)[0]
    front = nn.Conv2d(2, 4, 3, padding=1).double()
    one, two = (nn.Sequential(front, nn.GELU(), network[0]) for network in (one, two))
    two[0] = nn.Conv2d(2, 4, 3, padding=1).double()
    one[2], two[2] = (nn.Conv2d(4, 3, 3).double() for _ in range(2))
    found = _found(one, two, inputs, ["2"])["2"]
    a, b = (
        nn.functional.unfold(h, 3).mT.flatten(0, 1) for h in _between(one, two, inputs, Point("2", "input"))
    )
    v, w = (network[2].weight.detach().flatten(1) for network in (one, two))
    mean = torch.lerp(a @ v.T, b @ w.T, 0.5)
    wanted = _square((a - b) @ (v - w).T / 4) / _square(mean)
    assert float(found.cross_term[2]) == pytest.approx(wanted, rel=1e-9)


def test_batches_change_nothing(make, x, monkeypatch):
    whole = _found(make(1), make(2), x)
    monkeypatch.setattr(gap, "chunk", lambda *_: 5)
    for layer, found in _found(make(1), make(2), x).items():
        for name, values in vars(found).items():
            torch.testing.assert_close(values, getattr(whole[layer], name), rtol=1e-10, atol=TINY)


def test_batch_norm_is_estimated_on_the_mean_outputs(make, x):
    """One batch: phi_m standardises the mean outputs themselves."""
    build = lambda seed: make(seed, norm="batch")  # noqa: E731
    one, two = build(1), build(2)
    found = _found(one, two, x, statistics=x)["layers.0"]
    u = _between(one, two, x, Point("layers.0", "output"))

    def after(outputs, weight, bias):
        mean, deviation = outputs.mean(0), (outputs.var(0) + one.norms[0].eps).sqrt()
        return nn.functional.gelu((outputs - mean) / deviation * weight + bias)

    scales = [(n.norms[0].weight.detach(), n.norms[0].bias.detach()) for n in (one, two)]
    mean = (after(u[0], *scales[0]) + after(u[1], *scales[1])) / 2
    phi = after((u[0] + u[1]) / 2, *(sum(pair) / 2 for pair in zip(*scales, strict=True)))
    assert float(found.additivity_gap[2]) == pytest.approx(_square(phi - mean) / _square(mean), rel=1e-8)


@pytest.mark.parametrize(("build", "shape"), [(Pixels, (2, 4, 4)), (Steps, (4, 4))])
def test_features_lie_on_the_axis_that_the_network_gives_them(build, shape):
    """Angles between neurons, sample by position, by hand; sides, tokens and channels have equal sizes."""
    torch.manual_seed(5)
    one, two, x = build().double().eval(), build().double().eval(), torch.randn(9, *shape).double()
    for network in (one, two):
        nn.init.normal_(network.norm.bias)
    a, b = state_of(one), state_of(two)
    middle = _average(a, b, 0.5, lambda _: build().double())
    layers = ["a", "b"] if build is Pixels else ["conv", "b"]
    found = _found(one, two, x, layers, alphas=[0.5])
    # Where the neurons of every layer are read, and on which axis, from the code of the networks.
    read = (
        {"a": ("act", -1), "b": ("act2", -1)} if build is Pixels else {"conv": ("norm", -1), "b": ("b", -1)}
    )
    for layer, (module, axis) in read.items():
        h = [_seen(network, x, module).movedim(axis, -1).flatten(0, -2) for network in (one, two, middle)]
        mean = (h[0] + h[1]) / 2
        cosine = (h[2] * mean).sum(1) / (h[2].norm(dim=1) * mean.norm(dim=1))
        assert float(found[layer].feature_cosine[0]) == pytest.approx(float((1 - cosine).mean()), rel=1e-9)
        wrong = h[2].view(9, -1, h[2].shape[1]).mT, mean.view(9, -1, mean.shape[1]).mT
        turned = 1 - nn.functional.cosine_similarity(*wrong, dim=-1).mean()
        assert abs(float(turned) - float(found[layer].feature_cosine[0])) > 1e-4


def _seen(network, x, module):
    seen = []
    handle = network.get_submodule(module).register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    network(x)
    handle.remove()
    return seen[0]
