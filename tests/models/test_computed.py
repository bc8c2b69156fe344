"""Weights that are computed from parameters: copied, permuted, averaged and merged as what they are."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations as new
from torch.nn.utils import prune
from torch.nn.utils import spectral_norm as old_spectral
from torch.nn.utils import weight_norm as old_weight

from lmc import paths, symmetry
from lmc.models.computed import remarks, settled, unified
from lmc.models.duplicate import duplicate
from lmc.models.stack import forward, stack_states, state_of
from lmc.paths.line import interpolate
from lmc.paths.scene import Scene

ALPHAS = [0.0, 0.25, 0.5, 1.0]


def _spectral(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return old_spectral(layer)


def _weight(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return old_weight(layer)


WAYS = {
    "weight norm": new.weight_norm,
    "old weight norm": _weight,
    "spectral norm": new.spectral_norm,
    "old spectral norm": _spectral,
    "pruned": lambda layer: prune.random_unstructured(layer, "weight", 0.4),
}


def _network(way, seed=0):
    torch.manual_seed(seed)
    first, second = WAYS[way](nn.Conv2d(2, 6, 3, padding=1)), WAYS[way](nn.Linear(24, 5))
    made = nn.Sequential(first, nn.ReLU(), nn.Flatten(), second, nn.Tanh(), nn.Linear(5, 3))
    with torch.no_grad():
        for _ in range(60):  # in which spectral norm finds its vectors
            made(_inputs())
    return made.eval()


def _inputs():
    return torch.randn(6, 2, 2, 2, generator=torch.Generator().manual_seed(1))


def _weights(module):
    """What every layer computes, as torch says: the attribute that the forward pass has used."""
    with torch.no_grad():
        module(_inputs())
    return [module[place].weight.detach().clone() for place in (0, 3)]


@pytest.mark.parametrize("way", WAYS)
def test_a_network_with_computed_weights_is_copied_after_any_call(way):
    module, x = _network(way), _inputs()
    module(x).sum().backward()
    torch.testing.assert_close(duplicate(module)(x), module(x))
    forward(module, stack_states([state_of(module)] * 2), x)
    copied = duplicate(module)
    torch.testing.assert_close(copied(x), module(x))
    assert not {id(each) for each in copied.parameters()} & {id(each) for each in module.parameters()}


@pytest.mark.parametrize("way", WAYS)
def test_neurons_of_computed_weights_permute_and_this_is_proved(way):
    module, x = _network(way), _inputs()
    groups = symmetry.permutation_groups(module, x[:2])
    assert [group.size for group in groups] == [6, 5]
    proofs = symmetry.verify(module, groups, x, thorough=True)
    assert all(proof.doubt is None and not proof.unseen for proof in proofs.values())
    p = torch.arange(6).roll(1)
    moved = copy.deepcopy(state_of(module))
    moved = symmetry.apply(groups, {groups.groups[0].name: p}, moved)
    expected = _weights(module)[0][p]
    module.load_state_dict(moved)
    torch.testing.assert_close(_weights(module)[0], expected)


def _by_svd(weights):
    return weights / torch.linalg.matrix_norm(weights.flatten(1).double(), 2).float()


@pytest.mark.parametrize("way", ["spectral norm", "old spectral norm"])
def test_between_networks_spectral_norm_divides_by_the_norm_of_the_weights_there(way):
    a, b = _network(way, 0), _network(way, 1)
    originals = [name for name, _ in a.named_parameters() if "orig" in name]
    assert len(originals) == 2
    x, y = _inputs(), torch.tensor([0, 1, 2, 0, 1, 2])
    losses = lambda out, target: F.cross_entropy(out.flatten(0, 1), target.flatten(), reduction="none").view(  # noqa: E731
        target.shape
    )
    correct = lambda out, target: (out.argmax(-1) == target).float()  # noqa: E731
    scene = Scene(a, state_of(a), state_of(b), ALPHAS, {"test": (x, y)}, losses, correct)
    found = paths.scan(scene)["test"][0]
    averaged = interpolate(state_of(a), state_of(b), ALPHAS)
    wrong = forward(a, averaged, x)[0]
    for place, alpha in enumerate(ALPHAS):
        plain = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), *copy.deepcopy(list(a)[1:3]), nn.Linear(24, 5))
        plain = nn.Sequential(*plain, nn.Tanh(), nn.Linear(5, 3))
        mixed = {name: state_of(a)[name].lerp(state_of(b)[name], alpha) for name in averaged}
        plain.load_state_dict(
            {f"{at}.bias": mixed[f"{at}.bias"] for at in (0, 3, 5)}
            | {"5.weight": mixed["5.weight"]}
            | {f"{at}.weight": _by_svd(mixed[name]) for at, name in zip((0, 3), originals, strict=True)}
        )
        expected = F.cross_entropy(plain(x), y).detach()
        assert found[place] == pytest.approx(float(expected), rel=1e-3 if alpha in (0, 1) else 1e-5)
        if 0 < alpha < 1:
            assert abs(float(F.cross_entropy(wrong[place], y)) / float(expected) - 1) > 1e-2, "a control"
    ends = {name: tensor[[0, -1]] for name, tensor in scene.points().items()}
    both = stack_states([state_of(a), state_of(b)])
    assert all(torch.equal(ends[name], both[name]) for name in both), "the runs stay as they are"


def test_estimates_at_rest_stay_and_others_are_found():
    module = _network("spectral norm")
    once = settled(module, stack_states([state_of(module)] * 2))
    again = settled(module, once, [1])
    for name, tensor in once.items():
        torch.testing.assert_close(again[name], tensor, rtol=0, atol=1e-5)
    module.load_state_dict({name: tensor[0] for name, tensor in once.items()})
    for weight in _weights(module):
        assert torch.linalg.matrix_norm(weight.flatten(1), 2) == pytest.approx(1, abs=1e-5)


def test_between_networks_of_different_masks_the_weights_that_they_compute_are_averaged():
    a, b = _network("pruned", 0), _network("pruned", 1)
    states = unified(a, [state_of(a), state_of(b)])
    middle = {name: tensor[0] for name, tensor in interpolate(*states, [0.5]).items()}
    wanted = [(one + other) / 2 for one, other in zip(_weights(a), _weights(b), strict=True)]
    before = [(a(_inputs()), states[0]), (b(_inputs()), states[1])]
    for outputs, state in before:
        assert torch.equal(torch.func.functional_call(a, state, (_inputs(),)), outputs)
    a.load_state_dict(middle)
    for found, expected in zip(_weights(a), wanted, strict=True):
        torch.testing.assert_close(found, expected)
    masks = [tensor for name, tensor in middle.items() if name.endswith("_mask")]
    assert all(((mask == 0) | (mask == 1)).all() for mask in masks)
    same = [state_of(b), state_of(b)]
    assert all(
        one is other for one, other in zip(unified(b, same)[0].values(), same[0].values(), strict=True)
    )


class Centred(nn.Linear):
    """Keeps a mean of what it has seen."""

    def __init__(self):
        super().__init__(4, 3)
        self.register_buffer("seen", torch.rand(4))

    def forward(self, x):
        return super().forward(x - self.seen)


def test_what_a_mean_does_not_average_as_weights_is_said():
    found = {
        way: [*remarks(_network(way), [state_of(_network(way, seed)) for seed in (0, 1)])] for way in WAYS
    }
    norm = "computed by {}: means are of the parameters, not of these weights"
    for way, names in (("weight norm", "_WeightNorm"), ("old weight norm", "WeightNorm")):
        assert found[way] == ["0.weight, 3.weight are " + norm.format(names.lstrip("_"))]
    for way in ("spectral norm", "old spectral norm"):
        assert found[way] == ["0.weight, 3.weight are " + norm.format("SpectralNorm")]
    assert found["pruned"] == [
        "0.weight, 3.weight are pruned differently in the runs: their mean keeps what any of them keeps"
    ]
    assert [*remarks(Centred(), [state_of(Centred()), state_of(Centred())])] == [
        "seen is not trained, and not equal in the runs: averaged like weights"
    ]
    plain = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    moved = {name: tensor + 1 for name, tensor in state_of(plain).items()}
    assert [*remarks(plain, [state_of(plain), moved])] == []
