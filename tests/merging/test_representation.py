"""One network that computes the mean representation: by law, in float64."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from lmc.core.errors import LmcError, MismatchError
from lmc.merging import MERGERS, Material
from lmc.merging.layers import survey
from lmc.merging.mean import average
from lmc.models.stack import Point, forward, stack_states, state_of
from lmc.recording import reestimate
from lmc.variants import Constraint

representation = MERGERS["representation"]


def _stack(*states):
    return stack_states(states)


def _outputs(network, state, inputs):
    return forward(network, _stack(state), inputs)[0][0]


def _restated(network, state, inputs):
    fresh = reestimate(network, _stack(state), inputs)
    return {name: tensor[0] for name, tensor in fresh.items()}


class _Tokens(nn.Module):
    """Tokens, a stream, and attention whose projection is a layer that nothing calls."""

    def __init__(self):
        super().__init__()
        self.mix, self.attention = nn.Linear(6, 6), nn.MultiheadAttention(6, 2, batch_first=True)
        self.out = nn.Linear(6, 3, bias=False)

    def forward(self, x):
        h = x + torch.tanh(self.mix(x))
        return self.out(h + self.attention(h, h, h, need_weights=False)[0]).mean(1)


class _Grid(nn.Module):
    """Linear layers on (B, H, W, C)."""

    def __init__(self):
        super().__init__()
        self.mix, self.out = nn.Linear(3, 6), nn.Linear(6, 4, bias=False)

    def forward(self, x):
        return self.out(torch.tanh(self.mix(x.movedim(1, -1)))).mean((1, 2))


def _convolutional():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.GELU(),
        nn.Conv2d(6, 5, 2, dilation=2),
        nn.BatchNorm2d(5),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(5 * 2 * 2, 4),
    )


NETWORKS = {
    "mlp": ((2, 3), lambda pico: pico()),
    "no bias": ((2, 3), lambda pico: pico(bias=False, norm="none")),
    "batch": ((2, 3), lambda pico: pico(norm="batch")),
    "convolutions": ((3, 8, 8), lambda pico: _convolutional()),
    "grid": ((3, 4, 5), lambda pico: _Grid()),
}


@pytest.fixture(params=NETWORKS)
def case(request, pico, fill, samples):
    """A network, three states, and inputs."""
    shape, build = NETWORKS[request.param]
    network = build(pico).double().eval()
    states = [state_of(fill(build(pico).double(), seed)) for seed in range(3)]
    return (
        network,
        [{k: v.clone() for k, v in s.items()} for s in states],
        samples(64, shape, dtype=torch.float64)[0],
    )


def _slopes(network, states, merged, inputs, layer, ridge):
    """The gradient of a layer's objective at its weight (n, d), and at its bias, on plain activations."""
    part = network.get_submodule(layer)
    points = [Point(layer, "input"), Point(layer, "output")]
    _, seen = forward(network, _stack(*states, merged), inputs, capture=points)
    h, target = seen[points[0]][-1], seen[points[1]][:-1].mean(0)
    own = {key: merged[f"{layer}.{key}"].clone().requires_grad_() for key, _ in part.named_parameters()}
    if isinstance(part, nn.Conv2d):
        rows = nn.functional.unfold(h, part.kernel_size, part.dilation, part.padding, part.stride)
        rows = rows.mT.flatten(0, 1)
    else:
        rows = h.flatten(0, -2)
    centre = rows.mean(0) if "bias" in own else 0
    penalty = ridge * (rows - centre).square().mean()
    change = own["weight"] - average(states)[f"{layer}.weight"]
    error = (functional_call(part, own, (h,)) - target).square().sum() / len(rows)
    (error + penalty * change.square().sum()).backward()
    return own["weight"].grad.flatten(1), own["bias"].grad if "bias" in own else torch.zeros(1)


@pytest.mark.parametrize("ridge", [1e-6, 0.3])
def test_no_other_weights_of_any_layer_come_nearer(case, ridge):
    """BatchNorm statistics are those of the finished network: each layer knew those before it."""
    network, states, inputs = case
    merged = representation(Material(states, network, inputs, None), ridge=ridge).state
    merged = _restated(network, merged, inputs)
    before = _restated(network, average(states), inputs)
    layers = [layer.name for layer in survey(network, merged, inputs[:2])[0]]
    assert layers == [
        name for name, part in network.named_modules() if isinstance(part, (nn.Linear, nn.Conv2d))
    ]
    for layer in layers:
        weight, bias = _slopes(network, states, merged, inputs, layer, ridge)
        assert max(weight.abs().max(), bias.abs().max()) < 1e-8
    if len(layers) > 1:
        assert _slopes(network, states, before, inputs, layers[-1], ridge)[0].abs().max() > 1e-2


@pytest.mark.parametrize("sparse", [True, False])
def test_in_the_class_of_the_runs_no_trainable_weight_can_be_better(case, rng, sparse):
    network, states, inputs = case
    layers, _ = survey(network, states[0], inputs[:2])
    names = [f"{layer.name}.weight" for layer in layers]
    masks = {
        name: torch.rand(states[0][name].shape, generator=rng) < (0.3 if sparse else 0.8) for name in names
    }
    centres = {
        name: torch.randn(mask.shape, generator=rng, dtype=torch.float64) * ~mask
        for name, mask in masks.items()
    }
    # The last state was permuted, say, so that its fixed entries are elsewhere.
    constraint = Constraint(masks, centres)
    for state in states[:-1]:
        state |= {name: torch.where(masks[name], state[name], centres[name]) for name in names}
    material = Material(states, network, inputs, constraint)
    made = representation(material, ridge=1e-4, project=True)
    assert constraint.broken_by(made.state) == []
    merged = _restated(network, made.state, inputs)
    for layer in layers:
        weight, bias = _slopes(network, states, merged, inputs, layer.name, 1e-4)
        free = masks[f"{layer.name}.weight"].flatten(1)
        assert max((weight * free).abs().max(), bias.abs().max()) < 1e-8
        assert (weight * ~free).abs().max() > 1e-4
    plain = representation(material, ridge=1e-4)
    assert plain.outside is None
    assert all(torch.equal(plain.state[name], made.outside[name]) for name in plain.state)


def test_copies_of_a_network_are_that_network(case):
    network, states, inputs = case
    state = _restated(network, states[1], inputs)
    for dtype, far in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        own = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
        x = inputs.to(dtype)
        merged = representation(Material([own, own, dict(own)], network, x, None)).state
        assert {name: value.dtype for name, value in merged.items()} == {k: v.dtype for k, v in own.items()}
        before = _outputs(network, own, x)
        assert (_outputs(network, merged, x) - before).abs().max() <= far * before.abs().max()


def test_linear_networks_realise_the_mean_function_exactly(samples, fill):
    def build(seed):
        return fill(
            nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 4)).double(), seed
        )

    network, (inputs, _) = build(0), samples(50, dtype=torch.float64)
    states = [{k: v.clone() for k, v in state_of(build(seed)).items()} for seed in range(4)]
    wished = torch.stack([_outputs(network, state, inputs) for state in states]).mean(0)
    merged = representation(Material(states, network, inputs, None), ridge=0).state
    far = _outputs(network, average(states), inputs) - wished
    torch.testing.assert_close(_outputs(network, merged, inputs), wished, rtol=0, atol=1e-9)
    assert far.abs().max() > 0.1
    few = representation(Material(states, network, inputs[:7], None), ridge=0)
    assert [note.partition(";")[0] for note in few.notes] == [
        "warning: 2: 7 rows of data for 8 inputs", "warning: 3: 7 rows of data for 7 inputs"
    ]  # fmt: skip
    torch.testing.assert_close(_outputs(network, few.state, inputs[:7]), wished[:7], rtol=0, atol=1e-9)


def test_a_large_ridge_leaves_the_mean_weights_and_biases_that_fit(case):
    network, states, inputs = case
    merged = representation(Material(states, network, inputs, None), ridge=1e12).state
    mean = average(states)
    for name, part in network.named_modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            torch.testing.assert_close(merged[f"{name}.weight"], mean[f"{name}.weight"], rtol=0, atol=1e-9)
            if part.bias is not None:
                slope = _slopes(network, states, _restated(network, merged, inputs), inputs, name, 0)[1]
                assert slope.abs().max() < 1e-8


def test_statistics_are_left_alone_where_that_is_asked_for(pico, pico_states, samples):
    network, states = pico(norm="batch"), pico_states(2, norm="batch")
    merged = representation(Material(states, network, samples(64)[0], None, restatistics=False)).state
    for name, value in average(states).items():
        assert (
            name.startswith("layers.1") or name.startswith("layers.2") or torch.allclose(merged[name], value)
        )


def test_attention_keeps_the_mean_of_its_projections(fill, samples):
    network = _Tokens().double().eval()
    states = [
        {k: v.clone() for k, v in state_of(fill(_Tokens().double(), seed)).items()} for seed in range(2)
    ]
    inputs, _ = samples(30, (5, 6), dtype=torch.float64)
    merged = representation(Material(states, network, inputs, None))
    assert "attention.in_proj_weight (of MultiheadAttention)" in merged.notes[0]
    assert torch.equal(merged.state["attention.in_proj_weight"], average(states)["attention.in_proj_weight"])
    for layer in ("mix", "out"):
        assert _slopes(network, states, merged.state, inputs, layer, 1e-3)[0].abs().max() < 1e-8


def test_a_sigma_network_kept_in_its_class_has_its_own_mixing(pico, pico_states, samples):
    states = pico_states(2)
    network, mixing = pico(), torch.randn(7, 7, generator=torch.Generator().manual_seed(0))
    constraint = Constraint(mixings={"activations.0": mixing})
    constraint.install(network)
    states = [{**state, "activations.0.mixing": mixing} for state in states]
    states[1]["activations.0.mixing"] = mixing.flip(0, 1)  # as after permuting
    merged = representation(Material(states, network, samples(64)[0], constraint), project=True)
    assert torch.equal(merged.state["activations.0.mixing"], mixing)
    assert not torch.equal(merged.outside["activations.0.mixing"], mixing)


def test_in_a_class_of_all_networks_projecting_changes_nothing(pico, pico_states, samples):
    centres = {"layers.0.weight": torch.ones(7, 6)}
    material = Material(pico_states(2), pico(), samples(64)[0], Constraint(centres=centres))
    merged = representation(material, project=True)
    assert all(torch.equal(merged.outside[name], value) for name, value in merged.state.items())


def test_faults(pico, pico_states, samples):
    network, states, inputs = pico(), pico_states(2), samples(64)[0]
    with pytest.raises(MismatchError, match=r"project=true: the runs differ in D, f"):
        representation(Material(states, network, inputs, None), project=True)
    inputs[3, 0, 0] = torch.nan
    with pytest.raises(LmcError, match=r"layers.0: what goes into it holds NaN"):
        representation(Material(states, network, inputs, None))
