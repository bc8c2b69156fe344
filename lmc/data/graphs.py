"""Graphs whose nodes are to be classified: one computed, one from a folder. One sample is a whole graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import torch
from pydantic import Field
from torch import Tensor

from lmc.core import seeds
from lmc.core.errors import DataError
from lmc.data import cache, columns
from lmc.data.dataset import PARTS, Raw
from lmc.data.synthetic import GRAIN, Classes, Count, Spread

Probability = Annotated[float, Field(ge=0, le=1)]

_ROWS = 1024
_ARXIV = ("edge", "node-feat", "node-label")
_ARXIV_PARTS = ("train", "valid", "test")


def sbm(
    *,
    nodes: Count = 1000,
    classes: Classes = 5,
    p_in: Probability = 0.03,
    p_out: Probability = 0.004,
    features: Count = 32,
    separation: Spread = 0.25,
    structure_seed: int = 0,
) -> Raw:
    """A stochastic block model: nodes of the same class are joined more often, and have similar features.

    With the defaults, after 200 steps, ``gcn`` with ``hidden=[64, 64]`` classifies 0.95 of the test nodes
    (1 s on one core), and 0.47 where the graph has no edges (``p_in=0 p_out=0``).

    Args:
        classes: each node's is drawn uniformly.
        p_in, p_out: probability of an edge between two nodes of one class, and of two.
        features: x = mean of the class + N(0, I).
        separation: standard deviation of a class mean, per feature. Pairs of classes are then
            separation * sqrt(2 features) noise widths apart.
    """
    generator = seeds.generator("sbm", structure_seed)
    labels = torch.randint(classes, (nodes,), generator=generator)
    means = separation * torch.randn(classes, features, generator=generator, dtype=torch.float64)
    noise = torch.randn(nodes, features, generator=generator, dtype=torch.float64)
    found = []
    for start in range(0, nodes, _ROWS):
        rows = torch.arange(start, min(start + _ROWS, nodes))
        chance = torch.where(labels[rows, None] == labels, p_in, p_out)
        drawn = torch.rand(chance.shape, generator=generator, dtype=torch.float64) < chance
        drawn &= rows[:, None] < torch.arange(nodes)
        found.append(drawn.nonzero().mT + torch.tensor([[start], [0]]))
    inputs = (means[labels] + noise).float()[None]
    edges = torch.cat(found, dim=1)
    return Raw(inputs, labels[None], "node_classification", classes, "graph", grain=GRAIN, edges=edges)


def arxiv(*, path: str) -> Raw:
    """ogbn-arxiv (arXiv 2005.00687): 169,343 papers that cite one another, 128 features, 40 subjects.

    It has a split of its own, by year.

    Args:
        path: the folder as OGB unpacks it (``raw/edge.csv.gz``, ``split/time/train.csv.gz``, ...).

    Raises:
        DataError: files are missing or not of this form.
    """
    files = _find(path)
    stamps = [[name, file.stat().st_size, file.stat().st_mtime_ns] for name, file in files.items()]
    return cache.cached(["arxiv", str(Path(path).expanduser().resolve()), stamps], lambda: _decode(files))


def _find(path: str) -> dict[str, Path]:
    """The files by name, in the folder, in ``raw`` or in ``split/time``."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"data.path={path}: no such folder, in {Path.cwd()}")
    found, missing = {}, []
    for name in (*_ARXIV, *_ARXIV_PARTS):
        place = "raw" if name in _ARXIV else "split/time"
        tried = [folder / where / f"{name}.csv{end}" for where in (place, ".") for end in (".gz", "")]
        file = next((file for file in tried if file.is_file()), None)
        if file is None:
            missing.append(f"{place}/{name}.csv.gz")
        else:
            found[name] = file
    if missing:
        raise DataError(f"data.path={path}: lacks {', '.join(missing)}", "give ogbn_arxiv as OGB unpacks it")
    return found


def _decode(files: dict[str, Path]) -> Raw:
    inputs = torch.from_numpy(_table(files["node-feat"]).astype(np.float32))
    nodes = len(inputs)
    labels = _whole(files["node-label"], 1)[:, 0]
    if len(labels) != nodes:
        raise DataError(
            f"{files['node-label']}: {len(labels)} labels", f"{files['node-feat'].name} has {nodes}"
        )
    edges = _whole(files["edge"], 2, nodes).mT.contiguous()
    parts = torch.full((nodes,), -1)
    for number, name in enumerate(_ARXIV_PARTS):
        index = _whole(files[name], 1, nodes)[:, 0]
        if taken := int((parts[index] >= 0).sum()):
            raise DataError(f"{files[name]}: {taken} of its nodes are in another split too")
        parts[index] = number
    assert len(PARTS) == len(_ARXIV_PARTS)
    outputs = int(labels.max()) + 1
    return Raw(inputs[None], labels[None], "node_classification", outputs, "graph", edges=edges, parts=parts)


def _table(file: Path) -> np.ndarray:
    """A CSV file of numbers without a header, float64 (rows, columns)."""
    try:
        options = pa.csv.ReadOptions(autogenerate_column_names=True)
        table = pa.csv.read_csv(file, read_options=options)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} cannot be read: {str(error).strip().splitlines()[0]}") from error
    read: Sequence[Any] = [
        columns.numbers(columns.column(table, name, f"{file}"), f"{file}: {name}")
        for name in table.column_names
    ]
    return np.stack(read, axis=1)


def _whole(file: Path, width: int, end: int | None = None) -> Tensor:
    """A file of whole numbers in ``width`` columns, from 0 to ``end`` - 1."""
    found = _table(file)
    if found.shape[1] != width:
        raise DataError(f"{file}: {found.shape[1]} columns", f"expected {width}")
    bad = (found % 1 != 0) | (found < 0) | (found >= (np.inf if end is None else end))
    if bad.any():
        right = "whole numbers from 0" + ("" if end is None else f" to {end - 1}, the nodes")
        raise DataError(f"{file}: holds {found[bad][0]:g}", f"expected {right}")
    return torch.from_numpy(found.astype(np.int64))
