"""Lazy layers and other precisions: what builders return is made fit for samples of float32."""

import pytest
import torch
from torch import nn

from lmc import models
from lmc.core.errors import SettingError

GIVEN = {"data": "x", "input_shape": (1, 6, 6), "outputs": 3, "graph": None}


@pytest.fixture
def build(monkeypatch):
    def call(builder, seed=0):
        monkeypatch.setitem(models.MODELS, "own", builder)
        return models.build("own", {}, GIVEN, seed)

    return call


def lazy(input_shape, outputs):
    return nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(outputs)
    )


def plain(input_shape, outputs):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, outputs)
    )


def test_lazy_layers_draw_what_the_same_layers_with_sizes_draw(build):
    one, other, again = build(lazy), build(plain), build(lazy, 1)
    assert list(one.state_dict()) == list(other.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert not torch.equal(one[0].weight, again[0].weight)
    assert one.training
    assert one[1].running_mean.abs().sum() == 0


def test_lazy_layers_that_no_sample_reaches_are_refused(build):
    with pytest.raises(SettingError, match=r"lazy layers cannot take their shapes from samples \(1, 6, 6\)"):
        build(lambda input_shape, outputs: nn.Sequential(nn.LazyConv3d(4, 9), nn.Linear(2, 3)))

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.other = nn.Linear(36, 3), nn.LazyLinear(2)

        def forward(self, x):
            return self.used(x.flatten(1))

    with pytest.raises(SettingError, match=r"lazy layers that are never called, other\.weight, other\.bias"):
        build(lambda input_shape, outputs: Unused())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_another_precision_become_float32(build, dtype):
    found = build(lambda input_shape, outputs: plain(input_shape, outputs).to(dtype))
    wanted = build(plain)
    assert {each.dtype for each in found.state_dict().values()} == {torch.float32, torch.int64}
    torch.testing.assert_close(found[0].weight, wanted[0].weight.to(dtype).float(), rtol=0, atol=0)
    assert found(torch.zeros(2, 1, 6, 6)).shape == (2, 3)


def test_buffers_of_double_precision_beside_float32_stay(build):
    def made(input_shape, outputs):
        network = plain(input_shape, outputs)
        network.register_buffer("grid", torch.linspace(0, 1, 5, dtype=torch.float64))
        return network

    assert build(made).grid.dtype == torch.float64
