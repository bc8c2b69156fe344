"""Graph sets: their splits, their statistics, and the folder of ogbn-arxiv."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lmc.data
from lmc.core.errors import DataError, SettingError
from lmc.data import Raw, graphs
from lmc.data.splitting import split

SMALL = {"nodes": 300, "classes": 3, "features": 4}


def labelled(part):
    return (part.targets[0] >= 0).nonzero().flatten().tolist() if len(part) else []


def raw_graph(nodes=20, **changes):
    inputs = torch.randn(1, nodes, 3, generator=torch.Generator().manual_seed(0)) * 3 + 5
    targets = torch.arange(nodes)[None] % 2
    made = Raw(inputs, targets, "node_classification", 2, "graph", edges=torch.tensor([[0, 1], [1, 2]]))
    return dataclasses.replace(made, **changes)


@given(
    st.integers(14, 40), st.floats(0, 0.6), st.floats(0, 0.6), st.integers(0, 99), st.lists(st.integers(0, 5))
)
def test_the_parts_are_disjoint_and_cover_the_nodes_with_a_class(nodes, val, test, seed, unknown):
    raw = raw_graph(nodes)
    raw.targets[0, unknown] = -1
    known = (raw.targets[0] >= 0).nonzero().flatten().tolist()
    data = split("g", raw, val_fraction=val, test_fraction=test, split_seed=seed)
    found = [labelled(part) for part in data.splits.values()]
    assert sorted(node for part in found for node in part) == known
    assert len(found[2]) == round(len(known) * test)
    for part in data.splits.values():
        if len(part):
            assert torch.equal(part.inputs, data.train.inputs)
            here = part.targets[0] >= 0
            assert torch.equal(part.targets[0, here], raw.targets[0, here])
    same = split("g", raw, val_fraction=val, test_fraction=test, split_seed=seed, standardise=False)
    assert [labelled(part) for part in same.splits.values()] == found


def test_features_are_standardised_over_all_nodes():
    raw = raw_graph()
    raw.inputs[..., 2] = 7
    x = split("g", raw).train.inputs[0].double()
    torch.testing.assert_close(x.mean(0), torch.zeros(3).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(x.std(0, correction=0), torch.tensor([1.0, 1, 0]).double(), rtol=0, atol=1e-6)
    assert torch.equal(split("g", raw, standardise=False).train.inputs, raw.inputs)


def test_the_coherence_dial_turns_the_features_of_nodes():
    raw = raw_graph(40)
    raw.inputs.add_(torch.arange(40.0)[:, None])  # one direction explains nearly all: coherence 1/3
    data, turned = (split("g", raw, coherence=c) for c in (None, 0.9))
    one, two = data.train.inputs[0], turned.train.inputs[0]
    assert turned.train.inputs.shape == data.train.inputs.shape
    assert not torch.allclose(one, two, atol=1e-3)
    torch.testing.assert_close(one @ one.mT, two @ two.mT, rtol=0, atol=1e-4)


def test_the_digest_knows_the_edges_and_the_split():
    raw = raw_graph()
    other = dataclasses.replace(raw, edges=torch.tensor([[0, 1], [1, 3]]))
    parted = [dataclasses.replace(raw, parts=torch.arange(20) % number) for number in (2, 3)]
    assert len({one.digest for one in (raw, other, *parted)}) == 4
    assert raw_graph().digest == raw.digest == split("g", raw).digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": torch.tensor([[0], [20]])}, "edges run from 0 to 20 .expected 0 to 19"),
        ({"edges": None}, "edges are none"),
        ({"edges": torch.zeros(3, 2).long()}, r"edges are torch.int64 \(3, 2\) .expected int64 \(2, E\)"),
        ({"targets": torch.full((1, 20), 2)}, "classes run from 2 to 2 .expected -1 to 1"),
        ({"targets": torch.zeros(20).long()}, r"classes are torch.int64 \(20,\) .expected int64 \(1, 20\)"),
        ({"parts": torch.full((20,), 3)}, "parts run from 3"),
        ({"inputs": torch.zeros(20, 3)}, r"inputs are torch.float32 \(20, 3\) .a graph is one sample"),
        ({"inputs": torch.full((1, 20, 3), torch.nan)}, "60 NaN"),
        ({"parts": torch.ones(20).long()}, "no node of the train split"),
        ({"targets": torch.full((1, 20), -1)}, "leave none of 0 samples"),
    ],
)
def test_what_is_no_graph_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        split("g", raw_graph(**changes))


def test_a_block_model_has_the_edges_it_promises():
    raw = graphs.sbm(nodes=1500, classes=3, p_in=0.05, p_out=0.01)
    labels, (a, b) = raw.targets[0], raw.edges
    assert bool((a < b).all())
    assert len(raw.edges.unique(dim=1).T) == len(a)
    same = labels[:, None] == labels
    pairs_in = (int(same.sum()) - 1500) / 2
    inside = int((labels[a] == labels[b]).sum())
    assert inside / pairs_in == pytest.approx(0.05, rel=0.05)
    assert (len(a) - inside) / (1500 * 1499 / 2 - pairs_in) == pytest.approx(0.01, rel=0.05)
    centred = raw.inputs[0] - torch.stack([raw.inputs[0, labels == k].mean(0) for k in range(3)])[labels]
    assert float(centred.std()) == pytest.approx(1, abs=0.02)


def test_edges_do_not_depend_on_how_many_rows_are_drawn_at_once(monkeypatch):
    edges = graphs.sbm(**SMALL).edges
    monkeypatch.setattr(graphs, "_ROWS", 7)
    assert torch.equal(graphs.sbm(**SMALL).edges, edges)


def test_a_structure_seed_decides_the_block_model():
    one, same, other = (graphs.sbm(**SMALL, structure_seed=seed) for seed in (1, 1, 2))
    assert one.digest == same.digest != other.digest
    assert graphs.sbm(**SMALL, p_in=0.0, p_out=0.0).edges.shape == (2, 0)
    with pytest.raises(SettingError, match=r"data\.p_in"):
        lmc.data.load("sbm", p_in=1.5)


def test_neighbours_tell_more_than_features_do():
    """The dials' defaults: nearest class mean of one node, and of its neighbourhood."""
    data = lmc.data.load("sbm")
    adjacency = torch.eye(data.graph.nodes)
    adjacency[data.graph.edges[0], data.graph.edges[1]] = 1
    adjacency = ((adjacency + adjacency.mT) > 0).float()
    share = []
    for x in (data.train.inputs[0], adjacency @ adjacency @ data.train.inputs[0]):
        known, test = data.train.targets[0], data.test.targets[0]
        means = torch.stack([x[known == k].mean(0) for k in range(data.outputs)])
        found = torch.cdist(x / adjacency.sum(1, keepdim=True), means / adjacency.sum(1).mean()).argmin(1)
        share.append(float((found == test)[test >= 0].double().mean()))
    assert share[0] < 0.65
    assert share[1] > share[0] + 0.2


@pytest.mark.parametrize("compressed", [True, False])
def test_arxiv_is_read_as_ogb_writes_it(write_arxiv, tmp_path, compressed):
    folder = write_arxiv(tmp_path / "ogbn_arxiv", compressed=compressed)
    data = lmc.data.load("arxiv", path=folder, standardise=False)
    assert [labelled(part) for part in data.splits.values()] == [[*range(7)], [7, 8, 9], [10, 11]]
    assert (data.input_shape, data.outputs, data.graph.nodes) == ((12, 4), 3, 12)
    edges = np.loadtxt(next((tmp_path / "ogbn_arxiv" / "raw").glob("edge*")), delimiter=",")
    assert np.array_equal(data.graph.edges.T.numpy(), edges)
    features = np.loadtxt(next((tmp_path / "ogbn_arxiv" / "raw").glob("node-feat*")), delimiter=",")
    assert np.array_equal(data.val.inputs[0].numpy(), features.astype(np.float32))
    elsewhere = shutil.copytree(folder, tmp_path / "else")
    assert lmc.data.load("arxiv", path=str(elsewhere)).digest == data.digest


def test_arxiv_is_decoded_once(write_arxiv, tmp_path, monkeypatch):
    folder = write_arxiv(tmp_path / "a")
    before = lmc.data.load("arxiv", path=folder)
    monkeypatch.setattr(graphs, "_decode", lambda files: pytest.fail("decoded again"))
    after = lmc.data.load("arxiv", path=folder)
    assert after.digest == before.digest
    assert [labelled(part) for part in after.splits.values()] == [
        labelled(part) for part in before.splits.values()
    ]


def test_arxiv_keeps_its_own_split(write_arxiv, tmp_path):
    folder = write_arxiv(tmp_path / "a")
    with pytest.raises(SettingError) as caught:
        lmc.data.load("arxiv", path=folder, val_fraction=0.3, test_fraction=0.1)
    assert "data.val_fraction=0.3: arxiv has a val split of its own" in str(caught.value)
    assert "data.test_fraction=0.1: arxiv has a test split of its own" in str(caught.value)


def test_missing_files_of_arxiv_are_listed_together(write_arxiv, tmp_path):
    folder = write_arxiv(tmp_path / "a", edge=None, valid=None)
    with pytest.raises(DataError, match=r"lacks raw/edge.csv.gz, split/time/valid.csv.gz \(give ogbn_arxiv"):
        lmc.data.load("arxiv", path=folder)
    with pytest.raises(DataError, match="no such folder"):
        lmc.data.load("arxiv", path=str(tmp_path / "nowhere"))
    with pytest.raises(SettingError, match=r"data\.path: a value is needed"):
        lmc.data.load("arxiv")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"edge": [[0, 12]]}, r"edge.csv.gz: holds 12 .expected whole numbers from 0 to 11"),
        ({"edge": [[0, 1, 2]]}, "3 columns .expected 2"),
        ({"node_label": [[0]] * 11}, "11 labels .node-feat.csv.gz has 12"),
        ({"node_label": [[0.5]] * 12}, "node-label.csv.gz: holds 0.5"),
        ({"valid": [[0]]}, "valid.csv.gz: 1 of its nodes are in another split"),
        ({"node_feat": [[np.nan]] * 12}, "node-feat.csv.gz.*12 of 12 values are missing, NaN"),
    ],
)
def test_files_of_another_form_are_named(write_arxiv, tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        lmc.data.load("arxiv", path=write_arxiv(tmp_path / "a", **files))


def test_a_damaged_file_is_named(write_arxiv, tmp_path):
    folder = write_arxiv(tmp_path / "a")
    (tmp_path / "a" / "raw" / "edge.csv.gz").write_bytes(b"not compressed")
    with pytest.raises(DataError, match=r"edge.csv.gz cannot be read"):
        lmc.data.load("arxiv", path=folder)
