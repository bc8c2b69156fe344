"""Groups found by tracing: all that are there, and none that are not."""

import pytest
import torch
from torch import nn

from lmc import symmetry
from lmc.core.errors import LmcError
from lmc.models.stack import forward, state_of
from tests.symmetry.zoo import ZOO, CausalTransformer, Odd, ResNet, Sliced, TwoBranches


@pytest.mark.parametrize("name", ZOO)
def test_every_architecture_has_its_groups_and_they_are_symmetries(name):
    build, example, expected = ZOO[name]
    model = build()
    groups = symmetry.permutation_groups(model, example)
    assert {each.name: (each.size, each.blocks, len(each.layers)) for each in groups} == expected
    symmetry.verify(model, groups, example)


def test_what_stays_says_by_which_operation():
    reasons = {(each.tensor, each.axis): each.reason for each in _groups(Odd, (4,)).fixed}
    assert reasons["a.weight", 0] == "cumsum"
    assert reasons["a.weight", 1] == "the inputs"
    assert reasons["c.weight", 0] == "fft_fft, which has no rule"
    assert reasons["d.bias", 0] == "the outputs"


def test_a_slice_cuts_a_layer_into_groups_that_keep_their_places():
    first, second = _groups(Sliced, (4,))
    assert first.axes[0].places == ((0, 1, 2),)
    assert second.axes[0].places == ((3, 4, 5, 6),)
    assert [axis.tensor for axis in second.axes] == ["a.weight", "a.bias", "b.weight"]


def test_a_module_that_is_called_twice_is_recorded_at_every_call():
    first, _ = _groups(TwoBranches, (2, 4))
    assert [feature.point.call for feature in first.points["activation"]] == [0, 1]
    stream = symmetry.permutation_groups(ResNet(nn.BatchNorm2d), torch.randn(2, 3, 8, 8)).groups[0]
    recorded = [(feature.point.module, feature.point.call) for feature in stream.points["activation"]]
    assert recorded == [("layer1.0.relu", 1), ("layer1.1.relu", 1)]


def test_tied_tensors_are_permuted_under_all_their_names(rng):
    model, example, _ = ZOO["causal-transformer"][0](), ZOO["causal-transformer"][1], None
    groups = symmetry.permutation_groups(model, example)
    moved = symmetry.apply(groups, symmetry.random(groups, rng), state_of(model))
    assert torch.equal(moved["head.weight"], moved["wte.weight"])
    assert not torch.equal(moved["head.weight"], state_of(CausalTransformer())["head.weight"])


def test_heads_move_as_blocks_and_their_dimensions_inside(rng):
    build, example, _ = ZOO["causal-transformer"]
    model = build().double()
    groups = [each for each in symmetry.permutation_groups(model, example) if "attention.0" in each.name]
    assert len({each.family for each in groups}) == 1
    state, p = state_of(model), symmetry.random(groups, rng)
    moved = symmetry.apply(groups, p, state)
    run = lambda weights: forward(model.eval(), {k: v[None] for k, v in weights.items()}, example)[0]  # noqa: E731
    torch.testing.assert_close(run(moved), run(state), rtol=0, atol=1e-10)
    assert not torch.equal(moved["attention.0.qkv.weight"], state["attention.0.qkv.weight"])
    torn = {groups[0].name: torch.arange(8).roll(1), groups[1].name: torch.arange(8)}
    with pytest.raises(LmcError, match="not a permutation of its 8 neurons in 2 blocks"):
        symmetry.apply(groups, torn, state)
    apart = {groups[0].name: torch.arange(8).roll(4), groups[1].name: torch.arange(8)}
    with pytest.raises(LmcError, match="moves its blocks differently from its family"):
        symmetry.apply(groups, apart, state)


class Branching(nn.Linear):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


def test_what_cannot_be_traced_says_what_failed_and_how_to_go_on():
    with pytest.raises(
        LmcError, match=r"Branching cannot be traced at .*test_tracing.py:\d+ \(return .*permutation_groups"
    ):
        symmetry.permutation_groups(Branching(3, 3), torch.zeros(2, 3))
    with pytest.raises(LmcError, match=r"Sliced does not run on an input of shape \(2, 5\): RuntimeError"):
        symmetry.permutation_groups(Sliced(), torch.zeros(2, 5))


def test_the_network_is_left_as_it_was():
    model = ResNet(nn.BatchNorm2d).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    symmetry.permutation_groups(model, torch.randn(2, 3, 8, 8))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def _groups(build, shape):
    return symmetry.permutation_groups(build(), torch.randn(2, *shape))
