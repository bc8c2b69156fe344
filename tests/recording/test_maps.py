"""What layers read, on the axis where it lies and wherever it is computed, against plain computations."""

import numpy as np
import pytest
import torch
from torch import nn

from lmc.models.stack import Point, forward, stack_states, state_of
from lmc.models.uses import uses
from lmc.recording import linear_maps, record, sample
from lmc.recording.moments import Pooled
from tests.networks import (
    Adapted,
    Attending,
    Blocks,
    Functional,
    Pixels,
    Products,
    Steps,
    Volumes,
)

SEVERAL = {
    "pixels": (Pixels, (2, 4, 4)),
    "steps": (Steps, (4, 4)),
    "volumes": (Volumes, (1, 2, 3, 2)),
    "attending": (Attending, (5, 4)),
    "functional": (Functional, (4,)),
    "products": (Products, (4,)),
    "blocks": (Blocks, (4,)),
    "adapted": (Adapted, (4,)),
}


def _made(name, count=11, seed=0):
    build, shape = SEVERAL[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().double().eval(), torch.randn(count, *shape, dtype=torch.float64)


def _np(value):
    return value.detach().numpy()


def _relu(x):
    return np.maximum(x, 0)


def _gelu(x):
    return _np(nn.functional.gelu(torch.from_numpy(x)))


def _rows(network, x, name):
    """What a layer reads as (samples, d), computed by hand."""
    w = {key: _np(value) for key, value in network.state_dict().items()}
    x = _np(x)
    if name == "pixels":
        a = np.einsum("bchw->bhwc", x)
        return {"a": a.reshape(-1, 2), "b": _gelu(a @ w["a.weight"].T + w["a.bias"]).reshape(-1, 4)}
    if name == "attending":
        h = x @ w["embed.weight"].T + w["embed.bias"]
        qkv = (h @ w["att.in_proj_weight"].T + w["att.in_proj_bias"]).reshape(*h.shape[:2], 3, 2, 3)
        q, k, v = np.einsum("btchd->cbhtd", qkv)
        scores = np.exp(np.einsum("bhqd,bhkd->bhqk", q, k) / np.sqrt(3))
        mixed = np.einsum("bhqk,bhkd->bqhd", scores / scores.sum(-1, keepdims=True), v)
        return {
            "embed": x.reshape(-1, 4),
            "att.in_proj_weight": h.reshape(-1, 6),
            "att.out_proj": mixed.reshape(-1, 6),
        }
    if name == "functional":
        h = _relu(x @ w["a.weight"].T + w["a.bias"])
        return {"a": x, "b": h, "fc": _relu(h @ w["b.weight"].T)}
    if name == "products":
        h = _gelu(x @ w["u"] + w["bias"])
        return {"u": x, "v": h, "w": _gelu(h @ w["v"].T)}
    h = _relu(x @ w["a.weight"].T + w["a.bias"])
    middle = _relu(h @ w["block.u"])
    return {"a": x, "block.u": h, "block.v": middle, "fc": np.tanh(middle @ w["block.v"])}


@pytest.mark.parametrize("name", ["pixels", "attending", "functional", "products", "blocks"])
def test_moments_are_those_of_what_the_layer_reads(name, monkeypatch):
    """In unequal chunks; by numpy, which knows no modules."""
    monkeypatch.setattr("lmc.recording.moments.chunk", lambda *_, **__: 7)
    network, x = _made(name)
    maps = linear_maps(network, x).found
    stacked = stack_states([state_of(network)])
    found = record(network, stacked, x, {each.rows: [(0, 0)] for each in maps.values()})
    expected = _rows(network, x, name)
    for layer, rows in expected.items():
        moments = found[maps[layer].rows]
        assert moments.count == len(rows), layer
        np.testing.assert_allclose(moments.mean[0], rows.mean(0), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(moments.covariance(), np.cov(rows.T, bias=True), rtol=1e-8, atol=1e-9)
        drawn = sample(network, stacked, x, maps[layer].rows, 5)[0]
        assert all(np.isclose(rows, one.numpy(), rtol=1e-6).all(1).any() for one in drawn)


@pytest.mark.parametrize(
    ("name", "layer"), [("pixels", "b"), ("steps", "a"), ("steps", "b"), ("volumes", "left")]
)
def test_a_point_of_a_linear_layer_is_read_along_its_last_axis(name, layer):
    network, x = _made(name)
    seen = []
    network.get_submodule(layer).register_forward_hook(lambda _, args, out: seen.extend((args[0], out)))
    network(x)
    points = {Point(layer, side): [(0, 0)] for side in ("input", "output")}
    found = record(network, stack_states([state_of(network)]), x, points)
    for side, tensor in zip(points, seen, strict=False):
        rows = _np(tensor).reshape(-1, tensor.shape[-1])
        np.testing.assert_allclose(found[side].covariance(), np.cov(rows.T, bias=True), rtol=1e-8, atol=1e-9)


def test_a_convolution_in_one_or_three_dimensions_has_its_channels_as_features():
    for name in ("steps", "volumes"):
        network, x = _made(name)
        seen = []
        network.conv.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
        network(x)
        found = record(network, stack_states([state_of(network)]), x, {Point("conv", "output"): [(0, 0)]})
        rows = np.moveaxis(_np(seen[0]), 1, -1).reshape(-1, 4)
        moments = found[Point("conv", "output")]
        np.testing.assert_allclose(moments.mean[0], rows.mean(0), rtol=1e-9, atol=1e-9)


def test_which_weights_are_maps_and_why_others_are_not():
    maps = {name: linear_maps(*_made(name)) for name in SEVERAL}
    assert {*maps["functional"].found} == {"a", "b", "fc"}
    assert maps["functional"].apart == {"unused.weight": "not called"}
    assert {name: each.axis for name, each in maps["products"].found.items()} == {"u": 1, "v": 0, "w": 1}
    assert maps["volumes"].without == {"conv.weight": "a Conv3d", "both.weight": "used in bilinear"}
    assert maps["adapted"].without == {
        "base.weight": "first changed by add",
        "up": "used in matmul",
        "down": "used in matmul",
        "cosine.weight": "a Cosine that does not give W x + b",
        "grouped.weight": "a grouped convolution",
    }
    assert {*maps["adapted"].found} == {"again", "side_a", "side_b", "fc"}
    assert (
        linear_maps(Attending(True).eval(), torch.randn(4, 5, 4)).without["att.in_proj_weight"]
        == "used in parts"
    )


@pytest.mark.parametrize("name", SEVERAL)
def test_a_map_gives_its_weight_times_what_it_reads(name):
    """The control of every map: its rows times its matrix, and its bias, are what it gives."""
    network, x = _made(name)
    state, maps = state_of(network), linear_maps(network, x).found
    for layer in maps.values():
        if isinstance(layer.rows, Pooled):
            continue
        rows = sample(network, stack_states([state]), x, layer.rows, 10**6)[0]
        given = sample(network, stack_states([state]), x, layer.made, 10**6)[0]
        bias = state[layer.bias] if layer.bias else 0
        expected = rows @ layer.matrix(state[layer.weight]).T + bias
        torch.testing.assert_close(given, expected, rtol=1e-6, atol=1e-6)
        wrong = rows @ layer.matrix(state[layer.weight]).roll(1, 0).T + bias
        assert not torch.allclose(given, wrong, rtol=1e-3, atol=1e-3)


def test_a_layer_called_twice_reads_in_both_calls():
    network, x = _made("adapted")
    seen = []
    network.again.register_forward_pre_hook(lambda _, args: seen.append(_np(args[0])))
    network(x)
    (layer,) = [each for each in linear_maps(network, x).found.values() if each.name == "again"]
    assert layer.called == 2
    moments = record(network, stack_states([state_of(network)]), x, {layer.rows: [(0, 0)]})[layer.rows]
    np.testing.assert_allclose(
        moments.covariance(), np.cov(np.concatenate(seen[:2]).T, bias=True), rtol=1e-8, atol=1e-9
    )


def test_a_subclass_that_only_adds_a_name_is_a_map():
    class Named(nn.Linear):
        pass

    network = nn.Sequential(Named(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    assert [*linear_maps(network, torch.randn(5, 4)).found] == ["0", "2"]


def test_tensors_inside_of_modules_are_the_same_for_every_batch_size_and_type():
    network, x = _made("attending")
    point = uses(network, x).found["att.out_proj.weight"][0].read
    assert point.side == "inside"
    stacked = stack_states([state_of(network)] * 2)
    whole = forward(network, stacked, x, capture=[point])[1][point]
    assert whole.dtype == torch.float64
    parts = [forward(network, stacked, x[at], capture=[point])[1][point] for at in (slice(3), slice(3, 11))]
    torch.testing.assert_close(
        torch.cat([part.view(2, -1, 6) for part in parts], 1).sum(1), whole.view(2, -1, 6).sum(1)
    )
    with pytest.raises(KeyError):
        forward(network, stacked, x, capture=[point._replace(node="nothing")])
