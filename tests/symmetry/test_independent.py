"""Groups that were found are symmetries by a check of its own; what the tracer and its proof share is not asked."""

import dataclasses

import pytest
import torch

from lmc import symmetry
from tests.symmetry.fabric import Fabric
from tests.symmetry.independent import OTHER, SAME, check
from tests.symmetry.views import VIEWS
from tests.symmetry.zoo import ZOO, Grouped

ALL = {**ZOO, **VIEWS}


def _inputs(example, count=10):
    rng = torch.Generator().manual_seed(3)
    shape = (count, *example.shape[1:])
    if example.is_floating_point():
        return torch.randn(shape, generator=rng)
    return torch.randint(int(example.max()) + 1, shape, generator=rng)


@pytest.mark.parametrize("name", ALL)
def test_every_move_of_blocks_and_inside_them_leaves_the_outputs(name):
    build, example, expected = ALL[name]
    torch.manual_seed(0)
    model = build()
    groups = symmetry.permutation_groups(model, example)
    assert {each.name: (each.size, each.blocks, len(each.layers)) for each in groups} == expected
    for verdict in check(model, groups, _inputs(example)):
        assert verdict.moved < SAME, verdict
        assert verdict.control > OTHER, verdict


def test_a_block_that_forgets_an_axis_is_seen():
    # With two blocks, half of all draws of blocks alone are the identity; none may be.
    model, example = Grouped(), ZOO["grouped"][1]
    first, *others = symmetry.permutation_groups(model, example)
    wrong = dataclasses.replace(first, axes=first.axes[:-1])
    assert {verdict.kind for verdict in check(model, (wrong, *others), _inputs(example)) if not verdict.sound}


@pytest.mark.parametrize("seed", range(25))
def test_random_networks_have_no_group_that_is_no_symmetry(seed):
    net = Fabric(seed, 4 + seed % 7).eval()
    for verdict in check(net, symmetry.permutation_groups(net, net.example[:2]), net.example):
        assert verdict.sound, (str(net), verdict)
