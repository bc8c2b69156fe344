"""Convolutional networks and the vision transformer: shapes, sizes, functions, and what they refuse."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lmc.core.errors import SettingError
from lmc.models.activations import activation_names

SMALL = {
    "cnn": ((1, 8, 8), {"channels": [3, 4], "hidden": [5]}),
    "vgg11": ((2, 32, 32), {"width": 0.04, "hidden": [3]}),
    "resnet20": ((1, 5, 6), {}),
    "vit": ((2, 8, 4), {"patch": 4, "dim": 6, "heads": 2, "depth": 2}),
}


def parameters(network):
    return sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *[("cnn", {"norm": norm, "pooling": "mean"}) for norm in ("group", "batch", "layer", "none")],
        ("cnn", {}),
        ("vgg11", {}),
        ("vgg11", {"norm": "batch"}),
        ("vit", {"pool": "token"}),
        ("vit", {"pool": "mean"}),
    ],
)
def test_a_stack_is_its_networks(build, assert_stack_is_alone, samples, name, settings, training):
    shape, small = SMALL[name]
    make = lambda seed: build(name, shape, seed=seed, **small, **settings)  # noqa: E731
    assert_stack_is_alone(make, samples(3, shape)[0], training)


@pytest.mark.parametrize("norm", ["group", "batch", "layer", "none"])
def test_a_stack_of_resnets_is_its_networks(build, assert_stack_is_alone, samples, norm):
    make = lambda seed: build("resnet20", (1, 5, 6), seed=seed, norm=norm)  # noqa: E731
    assert_stack_is_alone(make, samples(2, (1, 5, 6))[0], norm == "batch")


def test_resnet20_has_the_published_size(build):
    """0.27 M weights in twenty layers (arXiv 1512.03385, table 6), and two shortcuts with their norms."""
    network = build("resnet20", (3, 32, 32), 10)
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    shortcuts = [part for part in convolutions if part.kernel_size == (1, 1)]
    assert len(convolutions) - len(shortcuts) + 1 == 20
    assert [part.weight.shape for part in shortcuts] == [(32, 16, 1, 1), (64, 32, 1, 1)]
    extra = 32 * 16 + 64 * 32 + 2 * (32 + 64)
    assert parameters(network) - extra == 269_722
    wide = build("resnet20", (3, 32, 32), 10, width=2)
    assert wide.linear.weight.shape == (10, 128)
    assert [*network(torch.zeros(2, 3, 32, 32)).shape] == [2, 10]


def test_vgg11_has_the_published_layers(build):
    network = build("vgg11", (3, 32, 32), 10)
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in convolutions] == [64, 128, 256, 256, 512, 512, 512, 512]
    assert parameters(network) == 9_225_610  # 9.2 M: eight convolutions with biases, one readout of 512
    assert build("vgg11", (3, 64, 32), 10, width=0.1).layers[0].in_features == 51 * 2


@pytest.mark.parametrize("name", SMALL)
def test_activations_are_modules_of_their_own(build, samples, name):
    """Each is called once a pass, so that a variant can exchange it and recording can name it."""
    shape, small = SMALL[name]
    network = build(name, shape, **small)
    names, calls = activation_names(network), []
    for activation in names:
        network.get_submodule(activation).register_forward_hook(
            lambda *_, name=activation: calls.append(name)
        )
    network(samples(2, shape)[0])
    assert calls == names
    assert len(names) == {"cnn": 3, "vgg11": 9, "resnet20": 19, "vit": 2}[name]


def test_a_residual_block_is_its_formula(build, fill, samples):
    block = fill(build("resnet20", (1, 8, 8), norm="layer"), 0).double().layer2[0]
    x = samples(2, (16, 6, 6), dtype=torch.float64)[0]

    def norm(part, h):
        mean, variance = h.mean(1, keepdim=True), h.var(1, keepdim=True, correction=0)
        scaled = (h - mean) / (variance + 1e-5).sqrt()
        return scaled * part.weight[:, None, None] + part.bias[:, None, None]

    h = F.conv2d(x, block.conv1.weight, stride=2, padding=1)
    h = norm(block.norm2, F.conv2d(norm(block.norm1, h).relu(), block.conv2.weight, padding=1))
    past = norm(block.shortcut[1], F.conv2d(x, block.shortcut[0].weight, stride=2))
    torch.testing.assert_close(block(x), (h + past).relu())


def test_a_group_norm_sees_all_channels_and_positions(build, samples):
    network = build("resnet20", (1, 8, 8))
    h = network.norm(network.conv(samples(3, (1, 8, 8))[0]))
    torch.testing.assert_close(h.mean((1, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(h.var((1, 2, 3), correction=0), torch.ones(3), rtol=0, atol=1e-3)


def test_attention_is_its_formula(build, fill, samples):
    attention = fill(build("vit", (1, 4, 4), patch=2, dim=6, heads=3), 0).double().blocks[0].attention
    x = samples(2, (5, 6), dtype=torch.float64)[0]
    mixed = []
    for head in range(3):
        rows = slice(2 * head, 2 * head + 2)
        query, key, value = (
            x @ part.weight[rows].mT + part.bias[rows]
            for part in (attention.query, attention.key, attention.value)
        )
        mixed.append(torch.softmax(query @ key.mT / 2**0.5, dim=-1) @ value)
    torch.testing.assert_close(attention(x), attention.out(torch.cat(mixed, dim=-1)))


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_a_vit_knows_positions_and_without_them_does_not(build, samples, pool):
    network = build("vit", (1, 8, 8), patch=2, pool=pool, depth=1).eval()
    assert network.position.shape == (16 + (pool == "token"), 64)
    x = samples(2, (1, 8, 8))[0]
    patches = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(2, 3)
    moved = patches[:, :, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    moved = moved.unflatten(2, (4, 4)).permute(0, 1, 2, 4, 3, 5).reshape(x.shape)
    assert not torch.allclose(network(x), network(moved), atol=1e-4)
    with torch.no_grad():
        network.position.zero_()
    torch.testing.assert_close(network(x), network(moved), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "settings", "message"),
    [
        ("resnet20", (64,), {}, r"model=resnet20: takes images .*shape \(64,\) \(model=mlp\)"),
        ("vit", (7, 3), {}, r"model=vit: takes images"),
        ("vgg11", (3, 31, 40), {}, r"model=vgg11: .*31 x 40 images are too small.*at least 32 x 32"),
        ("cnn", (1, 8, 8), {"channels": [2, 2, 2, 2]}, r"model=cnn: pools 4 times.*at least 16 x 16"),
        ("cnn", (1, 8, 8), {"kernel": 4}, r"model.kernel=4: even.*3 or 5"),
        ("vit", (1, 8, 12), {"patch": 3}, r"model.patch=3: .*8 x 12 \(choose from 1, 2, 4\)"),
        ("vit", (1, 8, 8), {"heads": 3}, r"model.heads=3: does not divide model.dim=64"),
        ("resnet20", (1, 8, 8), {"norm": "layers"}, r"did you mean layer"),
        ("resnet20", (1, 8, 8), {"width": 0}, r"model.width=0"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(build, name, shape, settings, message):
    with pytest.raises(SettingError, match=message):
        build(name, shape, **settings)
