"""Matching on what real networks do: planted permutations are found, identifiable layers stay."""

from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
import torch

from lmc import symmetry
from lmc.costs import SwapCost, admissible, identifiable, principal_subspace, realisation_cost, swap_cost
from lmc.matching import MATCHERS, Evidence, match_activations
from lmc.matching.similarity import SIMILARITIES, absolute_pearson, constant, dot, pearson
from lmc.models.stack import Point, forward, stack_states
from lmc.recording import MomentStream, record
from lmc.variants import Constraint, build


def _moments(*runs):
    stream = MomentStream([(a, b) for a in range(len(runs)) for b in range(a, len(runs))])
    stream.add(torch.stack(runs))
    return stream.finish()


def test_similarities_against_numpy(rng):
    a = torch.randn(50, 4, generator=rng, dtype=torch.float64) + 3
    b = torch.randn(50, 4, generator=rng, dtype=torch.float64) - a.roll(1, dims=1)
    moments = _moments(a, b)
    expected = np.corrcoef(a.mT.numpy(), b.mT.numpy())[:4, 4:]
    np.testing.assert_allclose(pearson(moments, 0, 1), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(pearson(moments, 1, 0), expected.T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(absolute_pearson(moments, 0, 1), abs(expected), rtol=0, atol=1e-12)
    np.testing.assert_allclose(dot(moments, 0, 1), a.mT.numpy() @ b.numpy() / 50, rtol=1e-12)
    assert expected.min() < -0.1


def test_correlation_ignores_scale_and_shift_and_a_neuron_is_like_itself(rng):
    a = torch.randn(40, 3, generator=rng, dtype=torch.float64)
    same = pearson(_moments(a, 1e4 + 1e-3 * a), 0, 1)
    assert same.diagonal().tolist() == pytest.approx([1, 1, 1], abs=1e-7)
    assert same.abs().max() <= 1


@pytest.mark.parametrize("name", SIMILARITIES)
def test_constant_units_are_like_none_and_are_counted(name, rng):
    a = torch.rand(40, 4, generator=rng, dtype=torch.float64) + 1
    b = a.flip(1).clone()
    rounding = 1e-13 * torch.rand(40, generator=rng, dtype=torch.float64)
    a[:, 1], b[:, 0], b[:, 2] = 5.0, 0.0, 1e-3 + rounding
    assert b[:, 2].std() > 0
    moments = _moments(a, b)
    assert constant(moments, 0).tolist() == [False, True, False, False]
    assert constant(moments, 1).tolist() == [True, False, True, False]
    similarity = SIMILARITIES[name](moments, 0, 1)
    assert similarity.isfinite().all()
    assert (similarity[1] == 0).all()
    assert (similarity[:, [0, 2]] == 0).all()
    assert (similarity[[0, 2, 3]][:, [1, 3]] != 0).all()


def _evidence(model, constraint, states, inputs, similarity="pearson", point="activation"):
    """As lmc.jobs prepares it, written plainly."""
    groups = symmetry.permutation_groups(model, inputs)
    stacked = stack_states(states)
    pairs = list(combinations_with_replacement(range(len(states)), 2))
    points = {group.points[point][0]: pairs for group in groups}
    seen = record(model, stacked, inputs, points)

    def measured(a, b, name):
        feature = next(group for group in groups if group.name == name).points[point][0]
        return SIMILARITIES[similarity](seen[feature], a, b)

    def costs():
        if constraint.mixings:
            return {group.name: None for group in groups}
        return {
            group.name: [_cost(model, constraint, state, group.name, inputs) for state in states]
            for group in groups
        }

    return Evidence(groups, states, measured, costs)


def _cost(model, constraint, state, layer, inputs):
    _, seen = forward(model, stack_states([state]), inputs, capture=[Point(layer, "input")])
    basis = principal_subspace(seen[Point(layer, "input")][0]).basis
    cost = realisation_cost(state[f"{layer}.weight"], constraint.mask(layer), constraint.centre(layer), basis)
    return SwapCost(swap_cost(cost), cost.diagonal())


@pytest.fixture
def planted(pico, pico_states, samples, rng):
    """A network, a permuted copy with a little noise, and the permutation that was planted."""

    def plant(noise=0.0, **keywords):
        model, inputs = pico(**keywords).eval(), samples(300)[0]
        (state,) = pico_states(1, **keywords)
        groups = symmetry.permutation_groups(model, inputs)
        p = {group.name: torch.randperm(group.size, generator=rng) for group in groups}
        copy = symmetry.apply(groups, p, state)
        copy = {
            name: value + noise * torch.randn(value.shape, generator=rng)
            if value.is_floating_point()
            else value
            for name, value in copy.items()
        }
        return model, state, copy, {name: value.argsort() for name, value in p.items()}, inputs

    return plant


@pytest.mark.parametrize("matcher", ["activation", "identifiability"])
@pytest.mark.parametrize("point", ["activation", "norm", "linear"])
@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
def test_a_planted_permutation_is_found_and_undone(planted, matcher, point, norm):
    model, state, copy, wanted, inputs = planted(norm=norm, noise=0.005)
    evidence = _evidence(model, Constraint(), [state, copy], inputs, point=point)
    first, found = MATCHERS[matcher](evidence).permutations
    groups = evidence.groups
    assert all(torch.equal(first[name], value) for name, value in groups.identity().items())
    assert {name: value.tolist() for name, value in found.items()} == {
        n: v.tolist() for n, v in wanted.items()
    }
    assert any(not torch.equal(found[name], value) for name, value in groups.identity().items())
    aligned = symmetry.apply(groups, found, copy)
    for name, value in state.items():
        torch.testing.assert_close(aligned[name], value, rtol=0, atol=0.05)


def test_a_standard_network_matched_by_identifiability_is_matched_by_activations(pico, pico_states, samples):
    evidence = _evidence(pico(), Constraint(), pico_states(3), samples(200)[0])
    by_cost, plain = (
        MATCHERS["identifiability"](evidence).permutations,
        MATCHERS["activation"](evidence).permutations,
    )
    for one, other in zip(by_cost, plain, strict=True):
        assert {name: value.tolist() for name, value in one.items()} == {
            n: v.tolist() for n, v in other.items()
        }
    assert any(not torch.equal(plain[1][name], value) for name, value in evidence.groups.identity().items())


def test_a_fully_identifiable_layer_stays(planted, samples):
    """Centres far apart make every exchange dear, whatever the activations say."""
    model, state, copy, _, inputs = planted()
    syre = build("syre", {"scale": 30.0}, model, 1, inputs)
    states = [
        {name: value + syre.centres.get(name, 0) for name, value in one.items()} for one in (state, copy)
    ]
    evidence = _evidence(model, syre, states, inputs)
    for costs in evidence.costs.values():
        assert identifiable(admissible(costs)).all()
    shuffled = Evidence(
        evidence.groups, states, lambda a, b, name: evidence.similarity(a, b, name).flip(1), evidence.costs_of
    )
    stay = evidence.groups.identity()
    found = MATCHERS["identifiability"](shuffled).permutations[1]
    assert {name: value.tolist() for name, value in found.items()} == {n: v.tolist() for n, v in stay.items()}
    moved = MATCHERS["activation"](shuffled).permutations[1]
    assert any(not torch.equal(moved[name], value) for name, value in stay.items())


def test_tau_opens_what_costs_close(planted):
    model, state, copy, wanted, inputs = planted()
    syre = build("syre", {"scale": 3.0}, model, 1, inputs)
    evidence = _evidence(model, syre, [state, copy], inputs)
    free = MATCHERS["identifiability"](evidence, tau=1e9).permutations[1]
    assert {name: value.tolist() for name, value in free.items()} == {
        n: v.tolist() for n, v in wanted.items()
    }


def test_where_costs_are_undefined_the_layer_stays_and_similarities_need_no_costs(planted, samples):
    model, state, copy, _, inputs = planted()
    evidence = _evidence(model, Constraint(mixings={"activations.0": torch.eye(7)}), [state, copy], inputs)
    found = MATCHERS["identifiability"](evidence).permutations[1]
    assert all(torch.equal(found[name], value) for name, value in evidence.groups.identity().items())

    def refuse():
        raise AssertionError("similarities alone need no costs")

    lean = Evidence(evidence.groups, evidence.states, evidence.similarity, refuse)
    assert len(MATCHERS["activation"](lean).permutations) == len(MATCHERS["none"](lean).permutations) == 2


def test_every_run_is_matched_to_the_first(planted):
    model, state, copy, wanted, inputs = planted()
    evidence = _evidence(model, Constraint(), [state, copy, state, copy], inputs)
    found = MATCHERS["activation"](evidence).permutations
    stay = evidence.groups.identity()
    for permutations, expected in zip(found, [stay, wanted, stay, wanted], strict=True):
        assert all(torch.equal(permutations[name], expected[name]) for name in stay)


def _total(evidence, permutations):
    """Similarity of all pairs in their slots, written plainly."""
    total = 0.0
    for group in evidence.groups:
        for a, b in combinations(range(evidence.runs), 2):
            alike = evidence.similarity(a, b, group.name).double().numpy()
            first, second = (permutations[run][group.name].tolist() for run in (a, b))
            total += sum(alike[i, j] for i, j in zip(first, second, strict=True))
    return total


def test_runs_matched_to_the_mean_of_the_others_rest_in_any_order(pico, pico_states, samples):
    """No exchange of two neurons of one run raises the similarity of all pairs; another order changes nothing."""
    states = pico_states(5)
    found = {}
    for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
        evidence = _evidence(pico(), Constraint(), [states[run] for run in order], samples(200)[0])
        mean = MATCHERS["activation"](evidence)
        best = _total(evidence, mean.permutations)
        neurons = sum(group.size for group in evidence.groups)
        assert mean.objective == pytest.approx(best / (neurons * 10))
        assert best > _total(evidence, MATCHERS["activation"](evidence, reference="first").permutations)
        for run in range(5):
            for group in evidence.groups:
                for i, j in combinations(range(group.size), 2):
                    other = [dict(own) for own in mean.permutations]
                    other[run][group.name] = other[run][group.name].clone()
                    other[run][group.name][[i, j]] = other[run][group.name][[j, i]]
                    assert _total(evidence, other) <= best + 1e-9
        placed = dict(zip(order, mean.permutations, strict=True))
        found[tuple(order)] = [symmetry.compose(placed[run], symmetry.inverse(placed[0])) for run in range(5)]
    one, other = found.values()
    assert all(torch.equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a)


def test_two_runs_are_matched_alike_to_either(pico, pico_states, samples):
    evidence = _evidence(pico(), Constraint(), pico_states(2), samples(200)[0])
    first, mean = (MATCHERS["activation"](evidence, reference=name) for name in ("first", "mean"))
    assert all(torch.equal(first.permutations[1][name], p) for name, p in mean.permutations[1].items())


def test_matching_reads_the_correlation_with_its_sign(rng):
    a = torch.randn(60, 2, generator=rng, dtype=torch.float64)
    b = torch.stack([-a[:, 0], a[:, 0] + 2 * a[:, 1]], dim=1)
    moments = _moments(a, b)
    assert match_activations(pearson(moments, 0, 1)).tolist() == [1, 0]
    assert match_activations(absolute_pearson(moments, 0, 1)).tolist() == [0, 1]
