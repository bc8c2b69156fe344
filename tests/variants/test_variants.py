"""D, f and C: what is fixed, where, and from which draws."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lmc import variants
from lmc.core.errors import SettingError
from lmc.models.activations import FiGLU, activation_names
from lmc.models.stack import state_of
from lmc.variants import Constraint, constrained_weights
from tests.networks import Adapted, Attending, Functional, Products

LAYERS = ["layers.0", "layers.1", "layers.2"]
SIZES = [6, 7, 5]


@pytest.fixture
def build(samples):
    def make(name, model, mask_seed=1, shape=(2, 3), **settings):
        return variants.build(name, settings, model, mask_seed, samples(2, shape)[0])

    return make


def test_standard_fixes_nothing(build, pico):
    constraint, model = build("standard", pico()), pico()
    assert constraint.tensors() == {}
    assert constraint.digest() == "plain"
    state = state_of(model)
    assert all(torch.equal(value, state[name]) for name, value in constraint.effective(state).items())


@pytest.mark.parametrize("counts", [[0, 3, 5], [6, 7, 5], [1, 1, 1]])
def test_exactly_num_fixed_entries_of_each_row_are_fixed(build, pico, counts):
    constraint = build("w", pico(), num_fixed=counts)
    for layer, count, size in zip(LAYERS, counts, SIZES, strict=True):
        if count == 0:
            assert constraint.mask(layer) is None
            assert constraint.centre(layer) is None
            continue
        mask = constraint.mask(layer)
        assert (mask.sum(1) == size - count).all()
        # f lives on the fixed entries, and nowhere else.
        assert torch.equal(constraint.centre(layer) != 0, ~mask)
        if 0 < count < size:
            assert len({tuple(row.tolist()) for row in mask}) > 1


def test_by_default_an_eighth_is_fixed_and_half_of_the_last(build, pico):
    constraint = build("w", pico(hidden=[16, 24]))
    assert constraint.meaning == {"num_fixed": [0, 2, 12], "scale": [1.0, 1.0, 1.0]}


def test_the_effective_weight_is_d_theta_plus_f(build, pico):
    model = pico()
    state = state_of(model)
    for constraint in (
        build("w", model, num_fixed=2, scale=0.5),
        build("syre", model),
        build("w", model, scale=0),
    ):
        made = constraint.effective(state)
        for name, theta in state.items():
            mask = constraint.masks.get(name, torch.ones(())).float()
            expected = mask * theta + constraint.centres.get(name, torch.zeros(()))
            assert torch.equal(made[name], expected), name
        assert constraint.broken_by(made) == []


def test_broken_by_names_the_weights_that_left_their_class(build, pico):
    model = pico()
    state, constraint = state_of(model), build("w", model, num_fixed=[2, 0, 2])
    assert constraint.broken_by(state) == ["layers.0.weight", "layers.2.weight"]
    made = constraint.effective(state)
    made["layers.2.weight"] = made["layers.2.weight"] + ~constraint.masks["layers.2.weight"] * 1e-6
    assert constraint.broken_by(made) == ["layers.2.weight"]
    made = constraint.effective(state)
    made["layers.2.weight"] = made["layers.2.weight"] + constraint.masks["layers.2.weight"] * 1e-6
    assert constraint.broken_by(made) == []
    sparse = build("w", model, num_fixed=2, scale=0.0)
    assert sparse.broken_by(sparse.effective(state)) == []
    assert sparse.broken_by(state) == [f"{layer}.weight" for layer in LAYERS]


@pytest.mark.parametrize("variant", ["w", "syre"])
def test_f_is_scale_times_the_same_draws_and_d_knows_no_scale(build, pico, variant):
    one, other = build(variant, pico(), scale=1.0), build(variant, pico(), scale=[0.25, 0.0, 3.0])
    assert {*one.masks} == {*other.masks}
    assert all(torch.equal(one.masks[name], other.masks[name]) for name in one.masks)
    for layer, scale in zip(LAYERS, [0.25, 0.0, 3.0], strict=True):
        if scale and one.centre(layer) is not None:
            torch.testing.assert_close(other.centre(layer), scale * one.centre(layer), rtol=1e-6, atol=0)
        else:
            assert other.centre(layer) is None


@pytest.mark.parametrize("variant", ["w", "syre"])
def test_a_layer_does_not_depend_on_the_others(build, pico, variant):
    """Nor on how many entries of them are fixed, nor on the weights of the model."""
    one = build(variant, pico(), **({"num_fixed": [2, 3, 1]} if variant == "w" else {}))
    other = build(
        variant,
        pico(seed=5, hidden=[7, 9], norm="none"),
        **({"num_fixed": [2, 1, 4]} if variant == "w" else {}),
    )
    kind = one.masks if variant == "w" else one.centres
    same = other.masks if variant == "w" else other.centres
    assert torch.equal(kind["layers.0.weight"], same["layers.0.weight"])
    assert torch.equal(one.centres["layers.0.weight"], other.centres["layers.0.weight"])


@pytest.mark.parametrize(("variant", "settings"), [("w", {"num_fixed": 2}), ("syre", {}), ("sigma", {})])
def test_draws_follow_the_mask_seed(build, pico, variant, settings):
    digests = [
        build(variant, pico(seed=weights), seed, **settings).digest()
        for weights, seed in [(0, 1), (3, 1), (0, 2)]
    ]
    assert digests[0] == digests[1] != digests[2]


def test_mask_and_centre_are_drawn_apart_and_layers_too(build):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    constraint = build("syre", model, shape=(8,))
    assert not torch.equal(constraint.centres["0.weight"], constraint.centres["1.weight"])
    masks = build("w", model, shape=(8,), num_fixed=4).masks
    assert not torch.equal(masks["0.weight"], masks["1.weight"])


def test_centres_are_standard_normal(build):
    model = nn.Sequential(nn.Linear(200, 100))
    f = build("syre", model, shape=(200,), scale=2.0).centres["0.weight"] / 2
    assert float(f.mean()) == pytest.approx(0, abs=0.03)
    assert float(f.std()) == pytest.approx(1, abs=0.03)
    mask = build("w", model, shape=(200,), num_fixed=20).masks["0.weight"]
    # Each input is fixed in a tenth of the rows: no column is preferred.
    assert float((~mask).float().mean(0).max()) < 0.3


@given(st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_fractions_lists_and_counts_mean_the_same(quarters):
    model = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 12), nn.Linear(12, 4))
    shares = [quarter / 4 for quarter in quarters]
    counts = [round(share * size) for share, size in zip(shares, [8, 4, 12], strict=True)]
    example = torch.zeros(1, 8)
    by_share = variants.build("w", {"num_fixed": shares}, model, 1, example)
    by_count = variants.build("w", {"num_fixed": counts}, model, 1, example)
    assert by_share.digest() == by_count.digest()
    assert by_share.meaning == by_count.meaning
    assert by_share.meaning["num_fixed"] == counts


def test_one_value_stands_for_every_layer(build, pico):
    assert build("w", pico(), num_fixed=2).digest() == build("w", pico(), num_fixed=[2, 2, 2]).digest()
    assert build("w", pico(), scale=2.0).meaning == build("w", pico(), scale=[2.0] * 3).meaning
    assert build("syre", pico(), scale=2.0).digest() == build("syre", pico(), scale=[2.0] * 3).digest()


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({"num_fixed": 8}, ["num_fixed=8: layers.0 has 6 inputs", "layers.1 has 7", "layers.2 has 5"]),
        (
            {"num_fixed": [2, 8, 9]},
            ["num_fixed=8: layers.1 has 7 inputs", "num_fixed=9: layers.2 has 5 inputs"],
        ),
        ({"num_fixed": [1.5, 2, 9]}, ["num_fixed=1.5: outside [0, 1] at layers.0", "layers.2 has 5 inputs"]),
        ({"num_fixed": -1}, ["num_fixed=-1: layers.0"]),
        ({"num_fixed": float("nan")}, ["outside [0, 1] at layers.0"]),
        ({"num_fixed": float("inf")}, ["outside [0, 1] at layers.0"]),
        ({"num_fixed": [2, 2]}, ["2 values for 3 layers", "layers.0, layers.1, layers.2"]),
        ({"scale": [1.0]}, ["1 values for 3 layers"]),
    ],
)
def test_impossible_settings_are_refused_all_together(build, pico, settings, texts):
    with pytest.raises(SettingError) as caught:
        build("w", pico(), **settings)
    assert all(text in str(caught.value) for text in texts), str(caught.value)


def test_convolutions_are_treated_as_rows_of_patches(build, conv_net):
    model = conv_net(norm=True)
    assert [*constrained_weights(model)] == ["0.weight", "4.weight"]
    constraint = build("w", model, shape=(2, 4, 4), num_fixed=[5, 3], scale=2.0)
    assert constraint.masks["0.weight"].shape == (4, 2, 3, 3)
    assert constraint.mask("0").shape == constraint.centre("0").shape == (4, 18)
    assert ((~constraint.mask("0")).sum(1) == 5).all()
    assert ((~constraint.mask("4")).sum(1) == 3).all()
    made = constraint.effective(state_of(model))
    torch.testing.assert_close(
        made["0.weight"],
        torch.where(constraint.masks["0.weight"], model[0].weight, constraint.centres["0.weight"]),
    )
    with pytest.raises(SettingError, match="0 has 18 inputs"):
        build("w", model, shape=(2, 4, 4), num_fixed=[19, 0])
    assert build("syre", model, shape=(2, 4, 4)).centres["0.weight"].shape == (4, 2, 3, 3)


@pytest.mark.parametrize(
    ("variant", "settings"), [("w", {"num_fixed": 2}), ("syre", {}), ("sigma", {}), ("standard", {})]
)
def test_a_constraint_survives_being_stored(build, pico, variant, settings, tmp_path):
    from lmc.store import files

    constraint = build(variant, pico(), **settings)
    files.write_tensors(tmp_path / "c.safetensors", constraint.tensors())
    again = Constraint.from_tensors(files.read_tensors(tmp_path / "c.safetensors"))
    assert again.digest() == constraint.digest()
    assert all(mask.dtype == torch.bool for mask in again.masks.values())
    for kind in ("masks", "centres", "mixings"):
        one, other = getattr(again, kind), getattr(constraint, kind)
        assert {*one} == {*other}
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_digest_sees_every_entry(build, pico):
    constraint = build("w", pico(), num_fixed=2)
    for kind in ("masks", "centres"):
        changed = copy.deepcopy(constraint)
        tensor = getattr(changed, kind)["layers.1.weight"]
        tensor[2, 3] = ~tensor[2, 3] if kind == "masks" else tensor[2, 3] + 1e-6
        assert changed.digest() != constraint.digest()
    shuffled = Constraint(
        dict(reversed(constraint.masks.items())), dict(reversed(constraint.centres.items()))
    )
    assert shuffled.digest() == constraint.digest()


def test_sigma_mixes_every_activation(build, pico, samples):
    model, inputs = pico(), samples(5)[0]
    constraint = build("sigma", model)
    assert {name: value.shape for name, value in constraint.mixings.items()} == {
        "activations.0": (7, 7), "activations.1": (5, 5)
    }  # fmt: skip
    assert not constraint.masks
    assert not constraint.centres
    before = {name: value.clone() for name, value in state_of(model).items()}
    constraint.install(model)
    assert activation_names(model) == []
    after = state_of(model)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(after["activations.1.mixing"], constraint.mixings["activations.1"])
    h = model.norms[0](model.layers[0](inputs.flatten(1)))
    mixed = h / (1 + torch.exp(-h @ constraint.mixings["activations.0"].mT))
    torch.testing.assert_close(model.activations[0](h), mixed)
    # The constraint's own matrix is not the model's: training one network cannot change the others.
    assert model.activations[0].mixing.data_ptr() != constraint.mixings["activations.0"].data_ptr()


def test_sigma_mixes_channels_at_each_position(build, conv_net, rng):
    model = conv_net()
    constraint = build("sigma", model, shape=(2, 4, 4))
    mixing = constraint.mixings["1"]
    assert mixing.shape == (4, 4)
    x = torch.randn(3, 4, 2, 2, generator=rng)
    out = FiGLU(mixing)(x)
    for place in [(0, 0), (1, 0)]:
        torch.testing.assert_close(out[:, :, *place], FiGLU(mixing)(x[:, :, *place]))


def test_sigma_refuses_models_without_activation_modules_of_one_width(build, samples):
    with pytest.raises(SettingError, match="no activation modules"):
        build("sigma", nn.Linear(6, 2), shape=(6,))
    act = nn.ReLU()
    with pytest.raises(SettingError, match=r"widths \[3, 6\]"):
        build("sigma", nn.Sequential(act, nn.Linear(6, 3), act), shape=(6,))


def test_sigma_leaves_statistics_and_mode_alone(build, conv_net):
    model = conv_net(norm=True).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    build("sigma", model, shape=(2, 4, 4))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(part._forward_hooks for part in model.modules())


WHEREVER = {"attending": (Attending, (5, 4)), "functional": (Functional, (4,)), "products": (Products, (4,))}


@pytest.mark.parametrize("name", WHEREVER)
@pytest.mark.parametrize("variant", ["w", "bernoulli", "syre"])
def test_weights_of_linear_maps_are_constrained_wherever_they_sit(build, name, variant):
    make, shape = WHEREVER[name]
    constraint = build(variant, make(), shape=shape, **({"num_fixed": 1} if variant == "w" else {}))
    rows = {
        "attending": {"embed.weight": 0, "att.in_proj_weight": 0, "att.out_proj.weight": 0, "fc.weight": 0},
        "functional": {"a.weight": 0, "b.weight": 0, "unused.weight": 0, "fc.weight": 0},
        "products": {"u": 1, "v": 0, "w": 1},
    }[name]
    assert {*(constraint.centres if variant == "syre" else constraint.masks)} == {*rows}
    assert not constraint.free


def test_a_neuron_has_its_number_of_fixed_inputs_on_whatever_axis_it_lies(build):
    """``x @ u`` has a neuron in every column, (in, out)."""
    constraint = build("w", Products(), shape=(4,), num_fixed=[1, 2, 3], scale=0.5)
    fixed = {name: ~mask for name, mask in constraint.masks.items()}
    assert {name: mask.shape for name, mask in fixed.items()} == {"u": (4, 6), "v": (5, 6), "w": (5, 3)}
    assert (fixed["u"].sum(0) == 1).all()
    assert (fixed["v"].sum(1) == 2).all()
    assert (fixed["w"].sum(0) == 3).all()
    assert not (fixed["u"].sum(1) == fixed["u"].sum(1)[0]).all(), "rows of inputs are not what is counted"
    assert all(torch.equal(constraint.centres[name] != 0, fixed[name]) for name in fixed)


def test_what_cannot_be_constrained_is_named(build):
    constraint = build("w", Adapted(), shape=(4,), num_fixed=1)
    assert constraint.free == {
        "down": "used in matmul",
        "up": "used in matmul",
        "base.weight": "first changed by add",
    }
    assert not {*constraint.free} & {*constraint.masks}
    assert {"side_a", "side_b", "again.weight", "cosine.weight", "grouped.weight"} <= {*constraint.masks}
    free = build("syre", nn.Sequential(nn.LSTM(4, 3), Last(), nn.Linear(3, 2)), shape=(5, 4)).free
    assert free == {"0.weight_ih_l0": "used in lstm", "0.weight_hh_l0": "used in lstm"}


class Last(nn.Module):
    def forward(self, x):
        return x[0][:, -1]
