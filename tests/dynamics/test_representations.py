"""Prediction agreement and linear CKA."""

import math

import pytest
import torch

from lmc import symmetry
from lmc.core.linear_algebra import random_orthonormal
from lmc.data import TASKS
from lmc.dynamics import agreement, cka, linear_cka
from lmc.models.stack import Point, stack_states, state_of
from lmc.recording import MomentStream, record


def _permuted(pico, samples, seed=0):
    network, (inputs, targets) = pico(seed).double().eval(), samples(60, dtype=torch.float64)
    groups = symmetry.permutation_groups(network, inputs[:4])
    moves = symmetry.random(groups, torch.Generator().manual_seed(1))
    own = state_of(network)
    return network, own, symmetry.apply(groups, moves, own), inputs, targets


def test_a_permuted_network_predicts_and_represents_the_same(pico, samples, task):
    network, own, moved, inputs, targets = _permuted(pico, samples)
    stacked = stack_states([own, moved])
    found = agreement(network, stacked, inputs, targets, task.correct, [(0, 1), (1, 1)])
    assert found == {(0, 1): 1.0, (1, 1): 1.0}
    point = Point("layers.1", "output")
    moments = record(network, stacked, inputs, {point: [(0, 0), (1, 1), (0, 1)]})[point]
    assert cka(moments, 0, 1) == pytest.approx(1, abs=1e-10)


def test_agreement_counts_equal_argmaxes(pico, samples, task):
    network, (inputs, targets) = pico(), samples(50)
    states = [state_of(pico(seed)) for seed in (0, 2)]
    found = agreement(network, stack_states(states), inputs, targets, task.correct, [(0, 1)])
    network.eval()
    with torch.no_grad():
        choices = []
        for state in states:
            network.load_state_dict(state)
            choices.append(network(inputs).argmax(1))
    assert found[0, 1] == pytest.approx(float((choices[0] == choices[1]).double().mean()))
    assert 0 < found[0, 1] < 1


def test_labels_agree_by_share_and_regression_not_at_all(pico, samples):
    network, (inputs, _) = pico(), samples(20)
    states = stack_states([state_of(pico(seed)) for seed in (0, 1)])
    targets = torch.zeros(20, 4)
    labels = agreement(
        network, states, inputs, targets, TASKS["binary_cross_entropy"].correct, [(0, 1), (0, 0)]
    )
    assert labels[0, 0] == 1
    assert 0 < labels[0, 1] < 1
    assert math.isnan(
        agreement(network, states, inputs, targets, TASKS["squared_error"].correct, [(0, 1)])[0, 1]
    )


def test_nodes_without_a_class_do_not_count():
    outputs = torch.tensor([[[[1.0, 0], [0, 1], [0, 1]]], [[[1.0, 0], [1, 0], [1, 0]]]])
    network = _Given(outputs)
    targets = torch.tensor([[0, 1, -1]])
    found = agreement(
        network,
        {"run": torch.tensor([0, 1])},
        torch.zeros(1, 3, 2),
        targets,
        TASKS["node_classification"].correct,
        [(0, 1)],
    )
    assert found[0, 1] == pytest.approx(0.5)


class _Given(torch.nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs
        self.register_buffer("run", torch.tensor(0))

    def forward(self, x):
        return self.outputs[self.run.view(-1)][0]


def test_nothing_agrees_on_an_empty_split(pico, samples, task):
    states = stack_states([state_of(pico(seed)) for seed in (0, 1)])
    inputs, targets = samples(4)
    found = agreement(pico(), states, inputs[:0], targets[:0], task.correct, [(0, 1)])
    assert math.isnan(found[0, 1])


def _moments(x, y, parts=1):
    stream = MomentStream([(0, 0), (1, 1), (0, 1)])
    for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True):
        stream.add(torch.stack([a, b]))
    return stream.finish()


def test_cka_is_the_explicit_formula(rng):
    x, mix = torch.randn(40, 5, generator=rng, dtype=torch.float64), torch.randn(5, 5, generator=rng).double()
    y = torch.tanh(x @ mix) + 3
    own, other = (each @ each.T for each in (x - x.mean(0), y - y.mean(0)))
    centre = torch.eye(40, dtype=torch.float64) - 1 / 40
    hsic = [torch.trace(a @ centre @ b @ centre) for a, b in ((own, other), (own, own), (other, other))]
    found = cka(_moments(x, y), 0, 1)
    assert found == pytest.approx(float(hsic[0] / (hsic[1] * hsic[2]).sqrt()), abs=1e-12)
    assert found == pytest.approx(cka(_moments(x, y, parts=7), 0, 1), abs=1e-12)
    assert 0 < found < 0.99


def test_cka_ignores_rotation_scale_and_shift(rng):
    x = torch.randn(30, 6, generator=rng, dtype=torch.float64)
    y = x + torch.randn(30, 6, generator=rng, dtype=torch.float64)
    turn = random_orthonormal(6, 6, rng)
    assert cka(_moments(x, -2 * x @ turn + 1), 0, 1) == pytest.approx(1, abs=1e-12)
    assert cka(_moments(x, 3 * y @ turn - 1), 0, 1) == pytest.approx(cka(_moments(x, y), 0, 1), abs=1e-12)
    stretched = x * torch.linspace(0.1, 4, 6, dtype=torch.float64)
    assert cka(_moments(x, stretched), 0, 1) < 0.99


def test_cka_of_different_widths_and_of_constants(rng):
    x = torch.randn(25, 3, generator=rng, dtype=torch.float64)
    x = x - x.mean(0)
    wide = torch.cat([x, x], dim=1)
    assert linear_cka(x.T @ wide, x.T @ x, wide.T @ wide) == pytest.approx(1)
    assert math.isnan(linear_cka(torch.zeros(3, 2), x.T @ x, torch.zeros(2, 2)))
