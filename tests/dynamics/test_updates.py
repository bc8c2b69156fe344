"""Updates and distances of weights, layer by layer."""

import math

import pytest
import torch

from lmc.dynamics import WHOLE, cosines, distances, tensors_of, updates
from lmc.models.stack import state_of


@pytest.fixture
def layers(pico):
    return tensors_of(dict(pico().named_parameters()))


def _states(pico, seeds):
    return [state_of(pico(seed)) for seed in seeds]


def test_layers_own_their_biases_and_norms_count_as_a_whole(pico, layers):
    assert list(layers) == [WHOLE, "layers.0", "layers.1", "layers.2"]
    assert layers["layers.1"] == ("layers.1.weight", "layers.1.bias")
    assert "norms.0.weight" in layers[WHOLE]


def test_a_parameter_of_the_network_itself_is_a_layer():
    found = tensors_of(
        {"token": torch.zeros(1, 4), "scale": torch.zeros(4), "head.weight": torch.zeros(2, 4)}
    )
    assert found == {
        WHOLE: ("token", "scale", "head.weight"),
        "token": ("token",),
        "head": ("head.weight",),
    }


def test_the_same_update_has_cosine_one_whatever_its_length(pico, layers):
    start, end, other = _states(pico, (0, 1, 2))
    moved = updates(start, end, layers[WHOLE])
    shifted = {name: other[name] + 3 * moved[name] for name in layers[WHOLE]}
    again = updates(other, shifted, layers[WHOLE])
    for value in cosines(moved, again, layers).values():
        assert value == pytest.approx(1, abs=1e-6)
    backwards = updates(end, start, layers[WHOLE])
    assert cosines(moved, backwards, layers)["layers.0"] == pytest.approx(-1, abs=1e-6)


def test_cosine_is_that_of_the_joined_vectors(pico, layers):
    start, one, two = _states(pico, (0, 1, 2))
    a, b = (updates(start, each, layers[WHOLE]) for each in (one, two))
    for layer, names in layers.items():
        u, v = (torch.cat([each[name].flatten().double() for name in names]) for each in (a, b))
        assert cosines(a, b, layers)[layer] == pytest.approx(float(u @ v / u.norm() / v.norm()))


def test_no_update_has_no_direction(pico, layers):
    (state,) = _states(pico, (0,))
    still = updates(state, state, layers[WHOLE])
    assert all(math.isnan(value) for value in cosines(still, still, layers).values())


def test_distance(pico, layers):
    one, two = _states(pico, (0, 1))
    assert set(distances(one, one, layers).values()) == {0.0}
    assert distances(one, two, layers) == distances(two, one, layers)
    opposite = {name: -tensor for name, tensor in one.items()}
    assert distances(one, opposite, layers)[WHOLE] == pytest.approx(2)
    grown = {name: 3 * tensor for name, tensor in one.items()}
    assert distances(one, grown, layers)["layers.0"] == pytest.approx(1)
    nothing = {name: torch.zeros_like(tensor) for name, tensor in one.items()}
    assert math.isnan(distances(nothing, nothing, layers)[WHOLE])
