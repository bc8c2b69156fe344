"""Networks: shape, initialisation, and stacks of them."""

import itertools
import math

import pytest
import torch
from torch import nn

from lmc import models
from lmc.core import registry
from lmc.core.errors import LmcError, SettingError
from lmc.models import stack
from lmc.models.initialisation import initialise
from lmc.models.mlp import mlp
from lmc.models.stack import Point, forward, stack_states, state_of, unstack
from lmc.symmetry import permutation_groups


def _build(seed=0, shape=(2, 3), outputs=4, **settings):
    bound = registry.bind(mlp, settings, "model", models.GIVEN)
    return models.build("mlp", bound, {"input_shape": shape, "outputs": outputs}, seed)


@pytest.mark.parametrize("hidden", [[], [3], [4, 5, 6]])
@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
def test_layers_and_norms_are_named_as_promised(hidden, norm):
    network = _build(hidden=hidden, norm=norm)
    widths = [6, *hidden, 4]
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    wanted = {f"layers.{i}.weight": (b, a) for i, (a, b) in enumerate(itertools.pairwise(widths))}
    wanted |= {f"layers.{i}.bias": (b,) for i, b in enumerate(widths[1:])}
    if norm != "none":
        wanted |= {f"norms.{i}.{name}": (b,) for i, b in enumerate(hidden) for name in ("weight", "bias")}
    assert shapes == wanted
    assert network(torch.zeros(5, 2, 3)).shape == (5, 4)
    groups = permutation_groups(network, torch.zeros(2, 2, 3))
    assert [group.name for group in groups] == [f"layers.{i}" for i in range(len(hidden))]
    if norm != "none":
        recorded = [group.points["norm"][0].point.module for group in groups]
        assert recorded == [f"norms.{i}" for i in range(len(hidden))]


def test_without_bias_or_affine_there_are_no_such_parameters():
    names = {name for name, _ in _build(hidden=[5], bias=False, affine=False).named_parameters()}
    assert names == {"layers.0.weight", "layers.1.weight"}


@pytest.mark.parametrize("activation", ["gelu", "relu", "tanh"])
def test_the_function_is_linear_norm_activation(activation, samples):
    network, x = _build(hidden=[5], activation=activation), samples(4)[0]
    h = nn.functional.layer_norm(x.flatten(1) @ network.layers[0].weight.mT + network.layers[0].bias, (5,))
    h = {"gelu": nn.functional.gelu, "relu": torch.relu, "tanh": torch.tanh}[activation](h)
    torch.testing.assert_close(network(x), h @ network.layers[1].weight.mT + network.layers[1].bias)


def test_the_published_initialisation():
    """Linear N(0, 1/d), convolutions Kaiming uniform with a = sqrt 5, biases U(-1/sqrt d, 1/sqrt d)."""
    torch.manual_seed(0)
    network = initialise(nn.Sequential(nn.Linear(400, 300), nn.Conv2d(16, 100, 5))).requires_grad_(False)
    assert float(network[0].weight.std()) == pytest.approx(1 / 20, rel=0.02)
    assert float((network[0].weight.abs() > 2 / 20).float().mean()) == pytest.approx(0.0455, abs=0.004)
    for part, d in zip(network, (400, 400), strict=True):
        assert float(part.bias.abs().max()) == pytest.approx(1 / math.sqrt(d), rel=0.1)
        assert float(part.bias.abs().max()) <= 1 / math.sqrt(d)
        assert float(part.bias.std()) == pytest.approx(1 / math.sqrt(3 * d), rel=0.15)
    bound = 1 / math.sqrt(400)
    assert float(network[1].weight.abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(network[1].weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_weights_follow_the_init_seed_and_nothing_else():
    torch.manual_seed(1)
    one = state_of(_build(3))
    before = torch.get_rng_state()
    torch.rand(5)
    two, other = state_of(_build(3)), state_of(_build(4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])
    torch.set_rng_state(before)
    _build(3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": [0]},
        {"hidden": [2.5]},
        {"hidden": 5},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"norm": "group"},
        {"activation": "swish"},
        {"bias": 3},
    ],
)
def test_impossible_settings_are_refused(settings):
    (key,) = settings
    with pytest.raises(SettingError, match=f"model.{key}"):
        _build(**settings)


OWN = """
from torch import nn
def plain(width: int = 3):
    return nn.Linear(6, width)
def shaped(input_shape, outputs, *, scale: float = 1.0):
    return nn.Linear(input_shape[0] * 2, outputs)
def broken():
    raise ValueError("no such thing")
"""


def test_a_builder_of_ones_own_takes_what_it_asks_for(tmp_path, monkeypatch):
    (tmp_path / "lmc_own_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    given = {"input_shape": (3,), "outputs": 7}
    assert models.build("lmc_own_nets:plain", {"width": 5}, given, 0).weight.shape == (5, 6)
    assert models.build("lmc_own_nets:shaped", {}, given, 0).weight.shape == (7, 6)
    one, two = (models.build("lmc_own_nets:plain", {}, given, 2).weight for _ in range(2))
    assert torch.equal(one, two)
    with pytest.raises(SettingError, match=r"cannot be built.*no such thing"):
        models.build("lmc_own_nets:broken", {}, given, 0)
    with pytest.raises(LmcError, match="cannot be built"):
        models.build("lmc_own_nets:plain", {"depth": 1}, given, 0)


@pytest.mark.parametrize("kind", ["layer", "batch", "none", "conv"])
@pytest.mark.parametrize("training", [True, False])
def test_a_stack_computes_what_each_network_computes(pico, conv_net, samples, kind, training):
    build = (
        (lambda seed: conv_net(seed, norm=True)) if kind == "conv" else (lambda seed: pico(seed, norm=kind))
    )
    shape = (2, 4, 4) if kind == "conv" else (2, 3)
    inputs = torch.stack([samples(6, shape, seed=seed)[0] for seed in range(3)])
    networks = [build(seed).train(training) for seed in range(3)]
    tensors = stack_states([state_of(network) for network in networks])
    tensors = {name: value.clone() for name, value in tensors.items()}
    template = build(9).train(training)
    before = {name: value.clone() for name, value in template.state_dict().items()}
    one = {name: value[:1].clone() for name, value in tensors.items()}
    outputs, _ = forward(template, tensors, inputs, shared=False)
    alone, _ = forward(template, one, inputs[:1], shared=False)
    torch.testing.assert_close(alone, outputs[:1], rtol=1e-4, atol=1e-5)
    for name, value in one.items():
        torch.testing.assert_close(value, tensors[name][:1], rtol=1e-5, atol=1e-6)
    for run, network in enumerate(networks):
        torch.testing.assert_close(outputs[run], network(inputs[run]).detach(), rtol=1e-4, atol=1e-5)
        for name, value in network.state_dict().items():  # running statistics too
            torch.testing.assert_close(tensors[name][run], value, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in template.state_dict().items())
    if not training:
        shared, _ = forward(template, tensors, inputs[0])
        torch.testing.assert_close(shared[2], networks[2](inputs[0]).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runs", [1, 3])
def test_capturing_and_replacing(pico, pico_states, samples, runs):
    network, inputs, tensors = pico().eval(), samples(5)[0], stack_states(pico_states(runs))
    points = [Point("layers.1", "input"), Point("activations.0", "output"), Point("norms.0", "output")]
    outputs, seen = forward(network, tensors, inputs, capture=points)
    assert [*seen] == [
        Point("norms.0", "output"),
        Point("activations.0", "output"),
        Point("layers.1", "input"),
    ] or {*seen} == {*points}
    assert torch.equal(seen[Point("activations.0", "output")], seen[Point("layers.1", "input")])
    torch.testing.assert_close(
        nn.functional.gelu(seen[Point("norms.0", "output")]), seen[Point("activations.0", "output")]
    )
    again, _ = forward(network, tensors, inputs, replace={"norms.0": seen[Point("norms.0", "output")]})
    torch.testing.assert_close(again, outputs)
    moved, _ = forward(network, tensors, inputs, replace={"norms.0": seen[Point("norms.0", "output")] + 1})
    assert not torch.allclose(moved, outputs)
    assert not any(part._forward_hooks or "forward" in part.__dict__ for part in network.modules())
    torch.testing.assert_close(forward(network, tensors, inputs)[0], outputs)


def test_hooks_and_replacements_are_gone_after_an_error(pico, pico_states, samples):
    network, tensors = pico(), stack_states(pico_states(2))
    known = {"norms.0": torch.zeros(2, 5, 3)}
    with pytest.raises(RuntimeError):
        forward(network, tensors, samples(5)[0], capture=[Point("layers.0", "input")], replace=known)
    assert not any(part._forward_hooks or "forward" in part.__dict__ for part in network.modules())


def test_stacking_and_unstacking(pico_states):
    states = pico_states(3, norm="batch")
    tensors = stack_states(states)
    assert stack.size(tensors) == 3
    for run, state in enumerate(states):
        back = unstack(tensors, run)
        assert all(torch.equal(back[name], value) for name, value in state.items())
        assert all(value.is_contiguous() for value in back.values())
    transposed = {"w": torch.zeros(2, 3, 4).mT}
    assert unstack(transposed, 0)["w"].is_contiguous()


def test_what_keeps_statistics(pico):
    assert stack.batch_norms(pico(norm="batch")) == ["norms.0", "norms.1"]
    assert stack.batch_norms(pico(norm="layer")) == []
    assert stack.layouts(pico()) == {f"layers.{i}.weight": (0, 2, 1) for i in range(3)}


def test_chunks_stay_within_their_budget():
    assert stack.chunk(10, 100, budget=4000) == 10
    assert stack.chunk(1000, 100, budget=4000) == 10
    assert stack.chunk(1000, 100, itemsize=8, budget=4000) == 5
    assert stack.chunk(1000, 10**9, budget=4000) == 1
    assert stack.chunk(0, 1) == 1
