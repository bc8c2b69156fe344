"""A permuted network is the same function with other weights."""

import dataclasses
import itertools

import pytest
import torch
from torch import nn
from torch.func import functional_call

from lmc import symmetry, variants
from lmc.core.errors import JobError, LmcError
from lmc.models.stack import state_of
from lmc.symmetry import Groups

OPTIONS = [
    {"norm": norm, "affine": affine, "bias": bias}
    for norm, affine, bias in itertools.product(["layer", "batch", "none"], [True, False], [True, False])
]


def _with_figlu(pico, fill, samples, **keywords):
    model = pico(**keywords)
    return fill(variants.build("sigma", {}, model, 1, samples(3)[0]).install(model), 5)


@pytest.fixture(params=[*OPTIONS, *({**option, "sigma": True} for option in OPTIONS[::3])], ids=str)
def network(request, pico, fill, samples):
    keywords = dict(request.param)
    model = _with_figlu(pico, fill, samples, **keywords) if keywords.pop("sigma", False) else pico(**keywords)
    return model.double().eval()


def test_a_permuted_network_is_the_same_function_and_other_weights(network, samples, rng):
    inputs = samples(20, dtype=torch.float64)[0]
    groups = symmetry.permutation_groups(network, inputs)
    state = state_of(network)
    permutations = {group.name: torch.arange(group.size).roll(2) for group in groups}
    assert [group.size for group in groups] == [7, 5]
    expected = functional_call(network, state, (inputs,))
    for chosen in (permutations, symmetry.random(groups, rng)):
        moved = symmetry.apply(groups, chosen, state)
        torch.testing.assert_close(functional_call(network, moved, (inputs,)), expected, rtol=0, atol=1e-10)
    moved = symmetry.apply(groups, permutations, state)
    named = {axis.tensor for group in groups for axis in group.axes}
    assert all(not torch.equal(moved[name], state[name]) for name in named)
    # Nothing with a hidden axis is left out: what is not named has the outputs' axis only, or none.
    assert {name for name, value in state.items() if {7, 5} & {*value.shape}} == named


def test_verify_accepts_every_option(network, samples):
    inputs = samples(4)[0]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    symmetry.verify(network, symmetry.permutation_groups(network, inputs), inputs)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def _without(groups, place, axis):
    listed = list(groups)
    kept = tuple(item for item in listed[place].axes if item != axis)
    assert len(kept) == len(listed[place].axes) - 1
    listed[place] = dataclasses.replace(listed[place], axes=kept)
    return Groups(tuple(listed))


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("sigma", [False, True])
def test_verify_finds_every_axis_that_was_forgotten(pico, fill, samples, norm, sigma):
    # A network as it is built, with norms at one and zero: the check must see those too.
    from lmc import models

    inputs = samples(4)[0]
    model = models.build("mlp", {"hidden": [7, 5], "norm": norm}, {"input_shape": (2, 3), "outputs": 4}, 0)
    if sigma:
        variants.build("sigma", {}, model, 1, inputs).install(model)
    groups = symmetry.permutation_groups(model, inputs)
    for place, group in enumerate(groups):
        for axis in group.axes:
            with pytest.raises(JobError, match=group.name.replace(".", r"\.")):
                symmetry.verify(model, _without(groups, place, axis), inputs)


def test_verify_refuses_axes_that_are_no_symmetry_and_groups_that_move_nothing(pico, samples):
    model, inputs = pico(hidden=[7, 7]), samples(4)[0]
    first, second = symmetry.permutation_groups(model, inputs)
    crossed = dataclasses.replace(first, axes=second.axes[:1])
    with pytest.raises(JobError, match=r"changes the .*outputs"):
        symmetry.verify(model, Groups((crossed, second)), inputs)
    with pytest.raises(JobError, match="moves no weight"):
        symmetry.verify(model, Groups((dataclasses.replace(first, axes=()),)), inputs)


def test_laws_of_the_group(pico, samples, rng):
    model = pico()
    groups, state = symmetry.permutation_groups(model, samples(2)[0]), state_of(model)
    p, q = symmetry.random(groups, rng), symmetry.random(groups, rng)
    inverse = {name: value.argsort() for name, value in p.items()}
    same = lambda a, b: all(torch.equal(a[name], b[name]) for name in state)  # noqa: E731
    assert same(symmetry.apply(groups, groups.identity(), state), state)
    assert same(symmetry.apply(groups, {}, state), state)
    assert same(symmetry.apply(groups, inverse, symmetry.apply(groups, p, state)), state)
    both = symmetry.apply(groups, symmetry.compose(p, q), state)
    assert same(both, symmetry.apply(groups, q, symmetry.apply(groups, p, state)))
    assert not same(both, symmetry.apply(groups, symmetry.compose(q, p), state))
    one = symmetry.compose(p, inverse)
    assert all(torch.equal(one[name], value) for name, value in groups.identity().items())


def test_slot_i_takes_neuron_p_i(pico, samples):
    model = pico()
    groups, state = symmetry.permutation_groups(model, samples(2)[0]), state_of(model)
    p = torch.tensor([3, 0, 1, 2, 6, 4, 5])
    moved = symmetry.apply(groups, {"layers.0": p}, state)
    assert torch.equal(moved["layers.0.weight"], state["layers.0.weight"][p])
    assert torch.equal(moved["layers.0.bias"], state["layers.0.bias"][p])
    assert torch.equal(moved["norms.0.weight"], state["norms.0.weight"][p])
    assert torch.equal(moved["layers.1.weight"], state["layers.1.weight"][:, p])
    assert moved["layers.2.weight"] is state["layers.2.weight"]


@pytest.mark.parametrize(
    "wrong", [[0, 1, 2], [0, 0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7], [-1, 0, 1, 2, 3, 4, 5]]
)
def test_what_is_no_permutation_is_refused(pico, samples, wrong):
    model = pico()
    groups, state = symmetry.permutation_groups(model, samples(2)[0]), state_of(model)
    with pytest.raises(LmcError, match="not a permutation of its 7 neurons"):
        symmetry.apply(groups, {"layers.0": torch.tensor(wrong)}, state)


def test_random_permutations_are_drawn_from_the_generator(pico, samples):
    groups = symmetry.permutation_groups(pico(), samples(2)[0])
    draw = lambda seed: symmetry.random(groups, torch.Generator().manual_seed(seed))  # noqa: E731
    assert all(torch.equal(draw(1)[name], value) for name, value in draw(1).items())
    assert any(not torch.equal(draw(1)[name], value) for name, value in draw(2).items())


class Declaring(nn.Linear):
    def __init__(self, axes):
        super().__init__(3, 3)
        self.axes = axes

    def permutation_groups(self):
        return {"g": {"axes": self.axes, "layers": ["0"], "points": {}}}


def test_a_declaration_that_does_not_fit_the_model_is_refused():
    with pytest.raises(LmcError, match="names weigth, which the model does not have"):
        symmetry.permutation_groups(Declaring([("weigth", 0)]), torch.zeros(1, 3))
    wide = Declaring([("weight", 0), ("bias", 0)])
    wide.weight = nn.Parameter(torch.zeros(2, 3))
    with pytest.raises(LmcError, match=r"joins axes of sizes \[2, 3\]"):
        symmetry.permutation_groups(wide, torch.zeros(1, 3))
