"""The linear proxies of LayerNorm and BatchNorm."""

import pytest
import torch

from lmc.models.norms import calibrate, calibrated
from lmc.models.stack import state_of

NORMS = ("linear_layer", "linear_batch")


@pytest.mark.parametrize("norm", NORMS)
def test_the_layer_is_affine_in_its_input(build, fill, samples, norm):
    network = fill(build("mlp", (5,), hidden=[7], norm=norm).double(), 0)
    pre = lambda x: network.norms[0](network.layers[0](x))  # noqa: E731
    a, b = samples(2, (4, 5), dtype=torch.float64)[0]
    torch.testing.assert_close(pre(0.3 * a + 0.7 * b), 0.3 * pre(a) + 0.7 * pre(b))
    torch.testing.assert_close(pre(a[:1]), pre(a)[:1])  # and one sample's does not depend on the others


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_at_the_start_it_scales_as_the_norm_it_stands_for(build, norm, activation):
    network = build("mlp", (50,), hidden=[40, 30], norm=norm, activation=activation).requires_grad_(False)
    x = torch.randn(4000, 50, generator=torch.Generator().manual_seed(1))
    for index in range(2):
        x = network.norms[index](network.layers[index](x))
        if norm == "linear_layer":
            torch.testing.assert_close(x.mean(1), torch.zeros(len(x)), rtol=0, atol=1e-5)
            assert float(x.square().mean()) == pytest.approx(1, abs=0.03)
        else:
            torch.testing.assert_close(x.mean(0), torch.zeros(x.shape[1]), rtol=0, atol=0.15)
            torch.testing.assert_close(x.std(0), torch.ones(x.shape[1]), rtol=0, atol=0.15)
        x = network.activations[index](x)


def test_the_constants_are_stored_and_not_trained(build):
    network = build("mlp", (5,), hidden=[7, 6], norm="linear_batch", affine=False)
    assert {*state_of(network)} >= {"norms.0.scale", "norms.0.centre", "norms.1.scale", "norms.1.centre"}
    assert not any(name.startswith("norms") for name, _ in network.named_parameters())
    assert build("mlp", (5,), hidden=[7], norm="linear_layer").norms[0].scale.shape == ()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("training", [True, False])
def test_a_stack_is_its_networks(build, assert_stack_is_alone, samples, norm, training):
    make = lambda seed: build("mlp", (6,), hidden=[5, 4], norm=norm, seed=seed)  # noqa: E731
    assert_stack_is_alone(make, samples(4, (6,))[0], training)


@pytest.mark.parametrize("norm", NORMS)
def test_constants_follow_the_weights_they_are_measured_at(build, norm):
    """A layer whose weights are ten times as large ends up the same."""
    network = build("mlp", (6,), hidden=[5, 4], norm=norm).train()
    state = state_of(network)
    before = {name: value.clone() for name, value in state.items()}
    larger = {name: value * 10 if name.startswith("layers.0") else value for name, value in state.items()}
    found = calibrated(network, larger, (6,))
    for name in state:
        factor = 10 if name.startswith(("layers.0", "norms.0.scale", "norms.0.centre")) else 1
        torch.testing.assert_close(found[name], before[name] * factor, rtol=1e-3, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training
    assert not any(part._forward_pre_hooks for part in network.modules())
    again = calibrate(network, (6,)).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in again.items())


def test_other_models_have_nothing_to_measure(build):
    network = build("mlp", (6,), norm="layer")
    state = state_of(network)
    found = calibrated(network, state, (6,))
    assert all(torch.equal(found[name], value) for name, value in state.items())
