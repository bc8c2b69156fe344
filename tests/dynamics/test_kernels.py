"""Tangent kernels and linearisation."""

import math
from importlib import import_module

import pytest
import torch
from torch import nn

from lmc import models
from lmc.core.seeds import generator
from lmc.data.dataset import Graph
from lmc.dynamics import Rows, kernel_alignment, kernel_distance, linearisation, linearised, tangent_kernel
from lmc.models.stack import state_of


@pytest.fixture
def rows(samples):
    return Rows(samples(5, dtype=torch.float64)[0], torch.tensor([0, 2, 3]))


def _linear(seed=0):
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 4, bias=False)).double(), torch.Generator().manual_seed(
        seed
    )


def test_the_kernel_of_a_linear_model_is_that_of_its_inputs_and_constant(rows):
    network, draw = _linear()
    x = rows.inputs.flatten(1)
    expected = torch.kron(x @ x.T, torch.eye(3, dtype=torch.float64))
    for _ in range(2):
        state = {"1.weight": torch.randn(4, 6, generator=draw, dtype=torch.float64)}
        torch.testing.assert_close(tangent_kernel(network, state, rows), expected, rtol=1e-12, atol=1e-12)


def test_a_masked_weight_has_no_part_in_the_kernel(rows):
    network, draw = _linear()
    mask = torch.rand(4, 6, generator=draw) < 0.5
    kernel = tangent_kernel(network, state_of(network), rows, {"1.weight": mask})
    x = rows.inputs.flatten(1)
    for place, output in enumerate(rows.outputs):
        own = kernel[place::3, place::3]
        torch.testing.assert_close(own, (x * mask[output]) @ (x * mask[output]).T)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_the_kernel_is_the_product_of_jacobians(pico, rows, norm):
    network = pico(norm=norm).double()
    state = state_of(network)
    network.eval()
    jacobian = []
    for x in rows.inputs:
        for output in rows.outputs:
            network.zero_grad()
            network(x[None])[0, output].backward()
            jacobian.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    jacobian = torch.stack(jacobian)
    torch.testing.assert_close(tangent_kernel(network.train(), state, rows), jacobian @ jacobian.T)
    assert network.training


@pytest.mark.parametrize("most", [3, 4, 6, 15, 99])
def test_in_parts_as_at_once(conv_net, samples, most):
    network = conv_net(norm=True).double()
    rows = Rows(samples(5, shape=(2, 4, 4), dtype=torch.float64)[0], torch.tensor([0, 2, 3]))
    whole = tangent_kernel(network, state_of(network), rows)
    torch.testing.assert_close(tangent_kernel(network, state_of(network), rows, most=most), whole)
    assert [len(part) for part in rows.blocks(6)] == [6, 6, 3]


def test_one_input_is_cut_at_its_outputs_and_several_are_not(pico, rows):
    network, one = pico().double(), Rows(rows.inputs[:1], rows.outputs)
    whole = tangent_kernel(network, state_of(network), rows)
    for most in (1, 2):
        part = tangent_kernel(network, state_of(network), one, most=most)
        torch.testing.assert_close(part, whole[:3, :3])
    with pytest.raises(ValueError, match="2 rows for 3 outputs"):
        rows.blocks(2)


def _graph(adjacency):
    draw = generator("graph")
    graph = Graph(torch.randint(8, (2, 14), generator=draw), 8)
    bound = {"hidden": [5], "adjacency": adjacency}
    given = {"input_shape": (8, 3), "outputs": 2, "graph": graph}
    return models.build("gcn", bound, given, 0).double(), torch.randn(1, 8, 3, generator=draw).double()


@pytest.mark.parametrize("adjacency", ["dense", "sparse"])
def test_graphs_and_attention(adjacency):
    network, x = _graph(adjacency)
    rows = Rows(x, torch.tensor([0, 5, 14]))
    kernel = tangent_kernel(network, state_of(network), rows)
    assert torch.linalg.eigvalsh(kernel).min() > 0
    dense, _ = _graph("dense")
    torch.testing.assert_close(kernel, tangent_kernel(dense, state_of(network), rows))


def test_alignment_and_distance(rng):
    a = torch.randn(4, 4, generator=rng, dtype=torch.float64)
    b = torch.randn(4, 4, generator=rng, dtype=torch.float64)
    assert kernel_alignment(a, 3 * a) == pytest.approx(1)
    assert kernel_distance(a, a) == 0
    assert kernel_distance(a, 3 * a) == pytest.approx(1)
    assert kernel_alignment(a, b) == pytest.approx(float((a * b).sum() / a.norm() / b.norm()))
    assert math.isnan(kernel_alignment(a, 0 * a))


def test_a_linear_model_is_its_linearisation(samples, task):
    network, draw = _linear()
    inputs, targets = samples(30, dtype=torch.float64)
    base, state = ({"1.weight": torch.randn(4, 6, generator=draw).double()} for _ in range(2))
    found = linearisation(network, base, state, inputs, targets, task.correct)
    assert found.agreement == 1
    assert found.error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("build", ["mlp", "vit", "dense", "sparse"])
def test_the_linearisation_is_the_tangent(pico, samples, build):
    """What it misses falls as the square of the step."""
    if build == "mlp":
        network, x = pico(norm="batch").double(), samples(7, dtype=torch.float64)[0]
    elif build == "vit":
        settings = {"patch": 2, "dim": 4, "depth": 1, "heads": 2}
        network = models.build("vit", settings, {"input_shape": (1, 4, 4), "outputs": 3}, 0).double()
        x = samples(7, shape=(1, 4, 4), dtype=torch.float64)[0]
    else:
        network, x = _graph(build)
    network.eval()
    base = state_of(network)
    trained = dict(network.named_parameters())
    draw = torch.Generator().manual_seed(3)
    way = {name: torch.randn(base[name].shape, generator=draw).double() for name in trained}
    missed = []
    for step in (1e-4, 1e-5):
        state = {**base, **{name: base[name] + step * way[name] for name in way}}
        before, linear = linearised(network, base, state, x)
        with torch.no_grad():
            after = torch.func.functional_call(network, state, (x,))
        missed.append(float((linear - after).norm() / (after - before).norm()))
    assert missed[1] == pytest.approx(missed[0] / 10, rel=0.2)
    assert missed[0] < 0.1


def test_linearisation_in_chunks_and_without_change(pico, samples, task, monkeypatch):
    network, other = pico(0).double(), state_of(pico(1).double())
    base, (inputs, targets) = state_of(network), samples(23, dtype=torch.float64)
    whole = linearisation(network, base, other, inputs, targets, task.correct)
    monkeypatch.setattr(import_module("lmc.dynamics.linearisation"), "chunk", lambda *_: 5)
    parts = linearisation(network, base, other, inputs, targets, task.correct)
    assert parts.error == pytest.approx(whole.error)
    assert parts.agreement == pytest.approx(whole.agreement)
    assert whole.error > 0.1
    still = linearisation(network, base, base, inputs, targets, task.correct)
    assert still.agreement == 1
    assert math.isnan(still.error)
