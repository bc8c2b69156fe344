"""The normalised adjacency and the graph convolutional network."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmc import models
from lmc.core.errors import SettingError
from lmc.data import Graph
from lmc.models.graph import Aggregation, aggregate, normalised
from lmc.models.stack import state_of


def random_graph(nodes=9, edges=14, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Graph(torch.randint(nodes, (2, edges), generator=generator), nodes)


def formula(graph):
    """D^-1/2 (A + I) D^-1/2, entry by entry."""
    adjacency = torch.eye(graph.nodes, dtype=torch.float64)
    for a, b in graph.edges.T.tolist():
        adjacency[a, b] = adjacency[b, a] = 1
    scale = torch.diag(adjacency.sum(1) ** -0.5)
    return scale @ adjacency @ scale


@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 99))
def test_the_adjacency_is_the_published_one(nodes, edges, seed):
    """Whichever way edges point, repeated or not, loops or not."""
    graph = random_graph(nodes, edges, seed)
    positions, values = normalised(graph)
    matrix = torch.zeros(nodes, nodes, dtype=torch.float64)
    matrix[positions[0], positions[1]] = values
    torch.testing.assert_close(matrix, formula(graph))
    assert len(positions.unique(dim=1).T) == len(values)
    doubled = Graph(torch.cat([graph.edges, graph.edges.flip(0)], dim=1), nodes)
    assert torch.equal(normalised(doubled)[1], values)


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3)])
def test_sparse_is_dense(leading, rng):
    graph = random_graph()
    dense, sparse = (Aggregation(graph, kind).double() for kind in ("dense", "sparse"))
    x, weight = torch.randn(2, *leading, 9, 5, generator=rng, dtype=torch.float64)
    x.requires_grad_()
    gradients = []
    for aggregation in (dense, sparse):
        out = aggregation(x)
        torch.testing.assert_close(out, formula(graph).float().double() @ x)
        gradients += torch.autograd.grad((out * weight).sum(), x)
    torch.testing.assert_close(*gradients)


def test_the_sparse_operator_keeps_its_contract(rng):
    """Shapes, strides, autograd, as torch itself checks them; and vmap over any axis."""
    positions, values = normalised(random_graph())
    x = torch.randn(2, 9, 5, generator=rng, dtype=torch.float64).requires_grad_()
    torch.library.opcheck(aggregate, (x, positions, values))
    torch.autograd.gradcheck(lambda x: aggregate(x, positions, values), x)
    runs = torch.randn(2, 9, 3, 5, generator=rng, dtype=torch.float64)
    together = torch.func.vmap(lambda x: aggregate(x, positions, values), in_dims=2)(runs)
    for run in range(3):
        torch.testing.assert_close(together[run], aggregate(runs[:, :, run], positions, values))
    with pytest.raises(NotImplementedError, match="share one graph"):
        torch.func.vmap(lambda v: aggregate(x, positions, v))(values.expand(2, -1))


@pytest.mark.parametrize("adjacency", ["dense", "sparse"])
@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
@pytest.mark.parametrize("training", [True, False])
def test_a_stack_is_its_networks(build, assert_stack_is_alone, samples, adjacency, norm, training):
    settings = {"hidden": [4, 3], "norm": norm, "adjacency": adjacency, "graph": random_graph()}
    make = lambda seed: build("gcn", (9, 5), seed=seed, **settings)  # noqa: E731
    assert_stack_is_alone(make, samples(1, (9, 5))[0], training)


def test_the_network_is_its_formula(build, fill, samples):
    graph = random_graph()
    network = fill(build("gcn", (9, 5), hidden=[4], graph=graph, norm="none", activation="tanh"), 0).double()
    x, matrix = samples(2, (9, 5), dtype=torch.float64)[0], formula(graph)
    one, two = network.layers
    h = (matrix @ x @ one.weight.mT + one.bias).tanh()
    torch.testing.assert_close(network(x), matrix @ h @ two.weight.mT + two.bias, rtol=1e-5, atol=1e-6)


def test_renumbered_nodes_have_renumbered_outputs(build, samples):
    graph, order = random_graph(), torch.randperm(9, generator=torch.Generator().manual_seed(1))
    place = order.argsort()  # node order[i] is called i
    renumbered = Graph(place[graph.edges], 9)
    x = samples(1, (9, 5))[0]
    outputs, moved = (
        build("gcn", (9, 5), hidden=[4, 3], norm="batch", graph=g)(y)
        for g, y in ((graph, x), (renumbered, x[:, order]))
    )
    torch.testing.assert_close(moved, outputs[:, order], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(outputs, moved)


def test_no_checkpoint_stores_the_graph(build):
    network = build("gcn", (9, 5), hidden=[4], graph=random_graph(), norm="batch")
    assert {name.split(".")[0] for name in state_of(network)} == {"layers", "norms"}
    assert copy.deepcopy(network).double().aggregation.values.dtype == torch.float64


def test_auto_follows_the_share_of_entries():
    sparse, dense = random_graph(300, 300), random_graph(20, 60)
    assert Aggregation(sparse).positions is not None
    assert Aggregation(dense).positions is None


def test_graphs_and_models_that_read_none_are_kept_apart(build):
    settings = {"hidden": [4, 3]}
    with pytest.raises(SettingError, match=r"model=gcn: needs a graph.*data=sbm"):
        build("gcn", (9, 5), **settings)
    given = {"data": "sbm", "input_shape": (9, 5), "outputs": 4, "graph": random_graph()}
    with pytest.raises(SettingError, match=r"model=mlp: reads no graph, but data=sbm has one \(model=gcn"):
        models.build("mlp", {}, given, 0)
    with pytest.raises(SettingError, match=r"model=gcn: .*shape \(8, 5\).*9 nodes"):
        build("gcn", (8, 5), graph=random_graph())


OWN = """
from torch import nn
def plain(outputs, graph=None):
    return nn.Linear(5, outputs if graph is None else graph.nodes)
"""


def test_a_builder_of_ones_own_may_read_the_graph(tmp_path, monkeypatch):
    (tmp_path / "lmc_own_graph_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    given = {"input_shape": (9, 5), "outputs": 4}
    assert models.build("lmc_own_graph_nets:plain", {}, given, 0).out_features == 4
    given |= {"graph": random_graph()}
    assert models.build("lmc_own_graph_nets:plain", {}, given, 0).out_features == 9
