"""The proof accepts every true group, refuses every planted false one, and says where it shows nothing."""

import dataclasses
import itertools
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lmc import symmetry
from lmc.core.errors import JobError
from lmc.symmetry import Axis, Groups
from lmc.symmetry.verify import _cycle, _swap
from tests.symmetry.zoo import ZOO


def _groups(model, example):
    return [*symmetry.permutation_groups(model, example)]


def _replaced(groups, place, **changes):
    return Groups(tuple(dataclasses.replace(g, **changes) if i == place else g for i, g in enumerate(groups)))


def _refused(model, groups, example):
    with pytest.raises(JobError, match=r"changes the outputs|does not permute"):
        symmetry.verify(model, groups, example)


@pytest.mark.parametrize("name", ZOO)
def test_true_groups_are_proved_with_every_tensor_seen(name):
    build, example, _ = ZOO[name]
    torch.manual_seed(0)
    model = build()
    groups = symmetry.permutation_groups(model, example)
    for proof in symmetry.verify(model, groups, example, thorough=True).values():
        assert (proof.doubt, proof.unseen, proof.precision) == (None, (), "float64")
        assert proof.change <= proof.tolerance


@pytest.mark.parametrize("name", ["unet", "grouped", "head-norm", "llama", "mixer"])
def test_a_group_that_lacks_any_axis_is_refused(name):
    build, example, _ = ZOO[name]
    torch.manual_seed(0)
    model = build()
    groups = _groups(model, example)
    for place, group in enumerate(groups):
        for axis in group.axes:
            _refused(
                model, _replaced(groups, place, axes=tuple(a for a in group.axes if a is not axis)), example
            )


def test_blocks_that_move_apart_from_their_family_or_not_as_blocks_are_refused():
    build, example, _ = ZOO["timm-attention"]
    model = build()
    groups = _groups(model, example)
    assert [group.blocks for group in groups] == [1, 2, 2]
    _refused(model, _replaced(groups, 2, family="its own"), example)
    one = _replaced(_replaced(groups, 1, blocks=1, family="a"), 2, blocks=1, family="b")
    _refused(model, one, example)


def _deep(act, depth=20, width=8):
    hidden = [part for _ in range(depth) for part in (act(), nn.Linear(width, width))]
    return nn.Sequential(nn.Linear(5, width), *hidden, act(), nn.Linear(width, 3))


@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid, nn.ReLU])
def test_deep_networks_that_forget_their_inputs_are_kept_alive(act):
    torch.manual_seed(0)
    model, example = _deep(act), torch.randn(2, 5)
    assert (model(example)[0] - model(example)[1]).abs().max() < 1e-5, "dead as it is built"
    groups = _groups(model, example)
    proofs = symmetry.verify(model, Groups(tuple(groups)), example, thorough=True)
    assert all(proof.doubt is None and not proof.unseen for proof in proofs.values())
    for place in (0, 10, 20):
        kept = tuple(axis for axis in groups[place].axes if not axis.tensor.endswith("bias"))
        _refused(model, _replaced(groups, place, axes=kept), example)


class Partly(nn.Module):
    """Computes in ways that do not follow the type of its inputs."""

    def __init__(self, how):
        super().__init__()
        self.a, self.b, self.how, self.scale = nn.Linear(5, 32), nn.Linear(32, 3), how, [torch.rand(5)]
        self.constant = torch.randn(5, 5)

    def forward(self, x):
        if self.how == "constant":
            x = (x @ self.constant) * self.scale[0]
        h = torch.zeros(len(x), 32) if self.how == "state" else 0
        h = h + self.a(x)
        if self.how == "norm":
            h = h.float()
            h = (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)
        if self.how == "half":
            h = h.half().to(x.dtype)
        if self.how == "only float32":
            assert h.dtype == torch.float32
        return self.b(F.silu(h))


@pytest.mark.parametrize("how", ["constant", "state", "norm", "half", "only float32"])
def test_networks_that_compute_partly_in_float32_are_proved_and_false_groups_of_them_refused(how):
    torch.manual_seed(0)
    model, example = Partly(how), torch.randn(2, 5)
    groups = _groups(model, example)
    (proof,) = symmetry.verify(model, Groups(tuple(groups)), example).values()
    assert proof.doubt is None
    assert proof.precision == ("float32" if how == "only float32" else "float64")
    for axis in groups[0].axes:
        _refused(model, _replaced(groups, 0, axes=tuple(a for a in groups[0].axes if a is not axis)), example)


class Ending(nn.Module):
    def __init__(self, end, middle=torch.clone):
        super().__init__()
        self.a, self.b, self.end, self.middle = nn.Linear(5, 8), nn.Linear(8, 3), end, middle

    def forward(self, x):
        return self.end(self.b(self.middle(torch.relu(self.a(x)))))


@pytest.mark.parametrize(
    ("end", "doubt"),
    [
        (lambda y: y * 0, "zero or not finite"),
        (lambda y: y / 0, "zero or not finite"),
        (lambda y: torch.tanh(1e-3 * y + 1000), "outputs of different inputs differ by 0"),
        (lambda y: y + 0.1 * torch.rand(3), r"less than .* times the network's own noise"),
        (lambda y: F.dropout(y, 0.5), "own noise"),
    ],
)
def test_where_no_permutation_could_show_nothing_is_proved_and_nobody_accused(end, doubt):
    torch.manual_seed(0)
    model, example = Ending(end), torch.randn(2, 5)
    groups = _groups(Ending(nn.Identity()), example)
    for some in (groups, [dataclasses.replace(groups[0], axes=groups[0].axes[:2])]):
        (proof,) = symmetry.verify(model, Groups(tuple(some)), example).values()
        assert re.search(doubt, proof.doubt)


def test_random_numbers_of_every_neuron_are_no_accusation():
    torch.manual_seed(0)
    model, example = Ending(nn.Identity(), lambda h: F.dropout(h, 0.3)), torch.randn(2, 5)
    (proof,) = symmetry.verify(model, symmetry.permutation_groups(model, example), example).values()
    assert "own noise" in proof.doubt


def test_what_no_output_depends_on_is_named_and_the_rest_is_proved():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.o = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(4, 3)

        def forward(self, x):
            return self.o((self.q(x) @ self.k(x).mT).softmax(-1) @ x)

    torch.manual_seed(0)
    model, example = Attention(), torch.randn(2, 5, 4)
    groups = symmetry.permutation_groups(model, example)
    (proof,) = symmetry.verify(model, groups, example, thorough=True).values()
    assert proof.doubt is None
    assert proof.unseen == (Axis("k.bias", 0),), "it shifts all scores of a query alike"
    assert not proof.proves(Axis("k.bias", 0))
    assert proof.proves(Axis("k.weight", 0))


def test_a_network_of_one_batch_size_is_proved_on_the_inputs_given():
    torch.manual_seed(0)
    model, example = Ending(lambda y: y.view(4, 3)), torch.randn(4, 5)
    groups = _groups(model, example)
    (proof,) = symmetry.verify(model, Groups(tuple(groups)), example).values()
    assert proof.doubt is None
    _refused(model, _replaced(groups, 0, axes=groups[0].axes[:2]), example)


@pytest.mark.parametrize("example", [torch.zeros(1, 5), torch.ones(3, 5), torch.randn(9, 5)])
def test_inputs_are_made_different(example):
    model = Ending(nn.Identity())
    (proof,) = symmetry.verify(model, symmetry.permutation_groups(model, example), example).values()
    assert proof.doubt is None


def test_neither_the_network_nor_the_generators_are_touched():
    build, example, _ = ZOO["resnet-batch"]
    model = build().train()
    groups = symmetry.permutation_groups(model, example)
    before, drawn = {k: v.clone() for k, v in model.state_dict().items()}, torch.random.get_rng_state()
    symmetry.verify(model, groups, example)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(part.training for part in model.modules())
    assert torch.equal(torch.random.get_rng_state(), drawn)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_two_permutations_generate_all(size):
    for seed in range(5):
        draw = [each(size, torch.Generator().manual_seed(seed)).tolist() for each in (_cycle, _swap)]
        assert size == 1 or all(i != p for i, p in enumerate(draw[0])), "nothing stays"
        found = {tuple(range(size))}
        for _ in range(24):
            found |= {tuple(p[i] for i in q) for p, q in itertools.product(found, draw)}
        assert found == {*itertools.permutations(range(size))}


def test_the_command_says_what_is_proved_and_of_what_nothing_was(tmp_path, monkeypatch):
    from lmc import api
    from lmc.jobs.measuring.groups import symmetry_tables
    from lmc.summaries.symmetry import symmetries

    table = api.symmetry(model="mlp", input_shape=[6], outputs=str(tmp_path))
    assert table["proved"].all()
    assert (table["control"] > 100 * table["tolerance"]).all()
    assert (table["change"] <= table["tolerance"]).all()
    model, example = Ending(lambda y: y * 0), torch.randn(2, 5)
    groups = Groups(tuple(_groups(Ending(nn.Identity()), example)))
    proofs = symmetry.verify(model, groups, example, thorough=True)
    (shown,) = symmetries("dead", groups, proofs)
    assert shown.table["proved"].tolist() == ["no"]
    assert shown.notes == ("nothing was proved of a: the outputs are zero or not finite",)
    assert not symmetry_tables("dead", groups, proofs)["symmetry"]["proved"].any()


def test_commands_that_align_warn_where_nothing_is_proved():
    from types import SimpleNamespace

    from lmc.jobs.aligning.lineup import Lineup
    from lmc.jobs.protocol.talk import Silent

    heard = []
    talk = Silent()
    talk.say = heard.append
    data = SimpleNamespace(train=SimpleNamespace(inputs=torch.randn(20, 5)))
    lineup = Lineup([], [], data, Ending(lambda y: y * 0), torch.device("cpu"), talk)
    assert [group.name for group in lineup.groups] == ["a"]
    assert heard == ["warning: that a may permute is not proved: the outputs are zero or not finite"]
