"""Neurons are recorded where they are computed, also where no module call shows them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmc import symmetry
from lmc.models.stack import forward, state_of
from tests.networks import Adapted, Attending, Blocks, Cosine, Functional, Products

SHAPES = {"attending": (Attending, (5, 4)), "functional": (Functional, (4,)), "products": (Products, (4,))}
SHAPES |= {"blocks": (Blocks, (4,)), "adapted": (Adapted, (4,))}


def _made(name, count=9):
    build, shape = SHAPES[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, x = build().eval(), torch.randn(count, *shape)
    return model, x, symmetry.permutation_groups(model, x[:2])


def _read(model, x, feature):
    state = {name: tensor[None] for name, tensor in state_of(model).items()}
    return feature.read(forward(model, state, x, capture=[feature.point])[1][feature.point])[0].numpy()


def _after(group, kind="activation"):
    (feature,) = group.points[kind]
    return feature


@pytest.mark.parametrize("name", SHAPES)
def test_every_group_moves_as_it_says_and_its_neurons_move_at_all_points(name):
    model, x, groups = _made(name)
    symmetry.verify(model, groups, x)
    state = state_of(model)
    draw = torch.Generator().manual_seed(1)
    for family in symmetry.families(groups):
        moves = symmetry.random(family, draw)
        moved = symmetry.apply(family, moves, state)
        for group in family:
            for feature in {each for points in group.points.values() for each in points}:
                before = forward(model, {k: v[None] for k, v in state.items()}, x, capture=[feature.point])[1]
                after = forward(model, {k: v[None] for k, v in moved.items()}, x, capture=[feature.point])[1]
                before, after = (feature.read(seen[feature.point]) for seen in (before, after))
                torch.testing.assert_close(after, before[..., moves[group.name]], rtol=1e-4, atol=1e-5)


def test_functions_are_recorded_before_and_after_their_activation():
    model, x, groups = _made("functional")
    first, second = groups
    pre = (x @ model.a.weight.T + model.a.bias).detach()
    np.testing.assert_allclose(_read(model, x, _after(first, "linear")), pre, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_read(model, x, _after(first)), pre.relu(), rtol=1e-5, atol=1e-6)
    after = F.relu(pre.relu() @ model.b.weight.T).detach()
    np.testing.assert_allclose(_read(model, x, _after(second)), after, rtol=1e-5, atol=1e-6)
    assert [group.layers for group in groups] == [("a",), ("b",)]


def test_raw_weights_of_equal_widths_do_not_take_the_module_input_for_what_is_inside():
    """Everything in the block has the shape of what goes in, so that a shape tells nothing."""
    model, x, groups = _made("blocks")
    outer, inner, last = groups
    h = F.relu(model.a(x)).detach()
    middle = F.relu(h @ model.block.u).detach()
    np.testing.assert_allclose(_read(model, x, _after(outer)), h, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_read(model, x, _after(inner)), middle, rtol=1e-5, atol=1e-6)
    end = torch.tanh(middle @ model.block.v).detach()
    np.testing.assert_allclose(_read(model, x, _after(last)), end, rtol=1e-5, atol=1e-6)
    assert not np.allclose(_read(model, x, _after(inner)), h, atol=1e-2)


def test_neurons_on_the_first_axis_are_recorded():
    model, x, groups = _made("products")
    first, second = groups
    h = F.gelu(x @ model.u + model.bias).detach()
    np.testing.assert_allclose(_read(model, x, _after(first)), h, rtol=1e-5, atol=1e-6)
    (feature,) = second.points["linear"]
    np.testing.assert_allclose(_read(model, x, feature), (h @ model.v.T).detach(), rtol=1e-5, atol=1e-6)


def test_heads_are_recorded_by_queries_and_values():
    model, x, groups = _made("attending")
    by_axes = {tuple(axis.tensor for axis in group.axes): group for group in groups if group.blocks == 2}
    queries = by_axes["att.in_proj_weight", "att.in_proj_bias"]
    h = model.embed(x)
    made = (h @ model.att.in_proj_weight.T + model.att.in_proj_bias).detach()
    for feature, own in zip(queries.points["activation"], (made[..., :6], made[..., 6:12]), strict=True):
        rows = np.sort(_read(model, x, feature), axis=0)  # samples and tokens come in another order
        np.testing.assert_allclose(rows, np.sort(own.reshape(-1, 6).numpy(), axis=0), rtol=1e-4, atol=1e-5)


def test_what_no_data_pass_through_has_no_points():
    """The two inner neurons of the change of a weight: B A is computed of weights alone."""
    _, _, groups = _made("adapted")
    empty = [group for group in groups if not group.points["activation"]]
    assert [[axis.tensor for axis in group.axes] for group in empty] == [["down", "up"]]
    assert [group.size for group in empty] == [2]


def test_groups_that_no_layer_owns_have_points():
    model = torch.nn.Sequential(Cosine(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).eval()
    (group,) = symmetry.permutation_groups(model, torch.randn(2, 4))
    assert group.layers == ("0",)
    assert [feature.point.module for feature in group.points["activation"]] == ["1"]
