"""A data set as the networks see it, and as a builder returns it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from lmc.core.errors import DataError, SettingError
from lmc.core.registry import unknown
from lmc.data.tasks import TASKS, Task

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""(B, C, H, W) and where the draws come from, to other images of the same classes."""


PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Samples with their targets.

    Attributes:
        inputs: (N, *input_shape), float32, contiguous.
        targets: (N,) int64 for cross-entropy, (N, nodes) for the nodes of a graph (-1: not in this split),
            else (N, outputs) float32.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph.

    Attributes:
        edges: (2, E) int64, pairs of nodes; each pair in one direction or both.
        nodes: how many there are.
    """

    edges: Tensor
    nodes: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits in memory, and what a model must know to fit them.

    Attributes:
        input_shape: shape of one sample: (features,), (channels, height, width), or (nodes, features).
        outputs: classes, labels or regressed values: the width of a model's last layer.
        digest: of the decoded data before splitting and standardising, wherever they came from.
        graph: between the nodes, where one sample is a whole graph, the same in all splits.
        augment: what a batch of training images goes through, standardised, before the network sees it.
        notes, doubts: what was decided about the data, and what of it may be a mistake.
    """

    name: str
    train: Split
    val: Split
    test: Split
    task: Task
    input_shape: tuple[int, ...]
    outputs: int
    digest: str
    graph: Graph | None = None
    augment: Augmentation | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, Any]:
        """What a model's builder may ask of the data, and the name for messages (``lmc.models.build``)."""
        return {
            "data": self.name,
            "input_shape": self.input_shape,
            "outputs": self.outputs,
            "graph": self.graph,
        }

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name: train, val, test."""
        return {part: getattr(self, part) for part in PARTS}


@dataclass(frozen=True, eq=False)
class Raw:
    """What a builder returns: decoded samples, neither split nor standardised.

    Attributes:
        inputs: (N, *shape), uint8 or float32.
        targets: int64 (N,) with classes 0..outputs-1 for cross-entropy, (1, nodes) for a graph, where -1
            is a node without a class; else float32 (N, outputs).
        task: a key of ``TASKS``.
        kind: what is standardised together: a channel of an ``image``, a feature of a ``table``, or
            everything where the geometry of a ``subspace`` counts (features are centred one by one). A
            ``graph`` is one sample (1, nodes, features), each feature standardised over the nodes.
        test_inputs, test_targets: the set's own test split; None where it has none.
        scale: the largest value an input can take. Inputs are divided by it.
        grain: the digest takes floating-point values as multiples of it. For computed data, whose last
            bits depend on the machine; 0, for data that were read, takes every bit.
        edges: of a graph, (2, E) int64.
        parts: a graph's own split of its nodes, (nodes,) int64: an index into ``PARTS``, or -1 for none.
        augment: whether training images are cropped and flipped.
        standardise_target: whether regressed values are brought to mean 0 and standard deviation 1.
        notes: what was decided about the data, a sentence each, for the person who asked for them.
        doubts: the same, of what may well be a mistake.
    """

    inputs: Tensor
    targets: Tensor
    task: str
    outputs: int
    kind: Literal["image", "table", "subspace", "graph"] = "table"
    test_inputs: Tensor | None = None
    test_targets: Tensor | None = None
    scale: float = 1.0
    grain: float = 0.0
    edges: Tensor | None = None
    parts: Tensor | None = None
    augment: bool = False
    standardise_target: bool = False
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are there, by attribute."""
        parts = {
            "inputs": self.inputs,
            "targets": self.targets,
            "test_inputs": self.test_inputs,
            "test_targets": self.test_targets,
            "edges": self.edges,
            "parts": self.parts,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over dtype, shape and bytes of every tensor, in hex."""
        state = hashlib.sha256()
        for name, tensor in self.tensors.items():
            state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            if self.grain and tensor.is_floating_point():
                tensor = (tensor / self.grain).round().to(torch.int64)
            if tensor.numel():
                state.update(tensor.contiguous().view(torch.uint8).numpy().data)
        return state.hexdigest()

    def check(self, name: str) -> None:
        """Raise a ``DataError`` unless tensors, task and outputs fit together."""
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        if self.edges is not None or self.kind == "graph":
            _check_graph(f"data={name}:", self)
            return
        if self.augment and self.kind != "image":
            raise SettingError(
                f"data.augment=true: {name} has no images to crop and flip", "data.augment=false"
            )
        if self.standardise_target and self.task != "squared_error":
            message = (
                f"data.standardise_target=true: {name} has no values to regress, its task is {self.task}"
            )
            raise SettingError(message, "leave it out")
        if (self.test_inputs is None) != (self.test_targets is None):
            raise DataError(f"data={name}: the test split has inputs or targets, not both")
        _check_samples(f"data={name}: train", self.inputs, self.targets, self)
        if self.test_inputs is not None and self.test_targets is not None:
            _check_samples(f"data={name}: test", self.test_inputs, self.test_targets, self)
            if self.test_inputs.shape[1:] != self.inputs.shape[1:]:
                given, right = tuple(self.test_inputs.shape[1:]), tuple(self.inputs.shape[1:])
                raise DataError(f"data={name}: a test sample has shape {given}, a train sample {right}")


def _check_samples(where: str, inputs: Tensor, targets: Tensor, raw: Raw) -> None:
    if inputs.ndim < 2 or not inputs.numel() or (raw.kind == "image" and inputs.ndim != 4):
        expected = "(N, C, H, W)" if raw.kind == "image" else "(N, features)"
        raise DataError(f"{where} inputs have shape {tuple(inputs.shape)}", f"expected {expected}")
    if inputs.dtype not in (torch.uint8, torch.float32):
        raise DataError(f"{where} inputs are {inputs.dtype}", "expected uint8 or float32")
    if bad := int((~inputs.isfinite()).sum()) if inputs.is_floating_point() else 0:
        raise DataError(f"{where} inputs hold {bad} NaN or infinite values")
    classes = raw.task == "cross_entropy"
    shape = (len(inputs),) if classes else (len(inputs), raw.outputs)
    dtype = torch.int64 if classes else torch.float32
    if tuple(targets.shape) != shape or targets.dtype != dtype:
        given = f"{targets.dtype} {tuple(targets.shape)}"
        raise DataError(f"{where} targets are {given}", f"expected {dtype} {shape} for {raw.task}")
    if classes and not 0 <= int(targets.min()) <= int(targets.max()) < raw.outputs:
        given = f"from {int(targets.min())} to {int(targets.max())}"
        raise DataError(f"{where} classes run {given}", f"expected 0 to {raw.outputs - 1}")
    if not classes and (bad := int((~targets.isfinite()).sum())):
        raise DataError(f"{where} targets hold {bad} NaN or infinite values")
    if raw.task == "binary_cross_entropy" and not ((targets == 0) | (targets == 1)).all():
        raise DataError(f"{where} targets are not all 0 or 1", "binary_cross_entropy needs labels of 0 and 1")


def _check_graph(where: str, raw: Raw) -> None:
    inputs, edges = raw.inputs, raw.edges
    if inputs.ndim != 3 or len(inputs) != 1 or not inputs.numel() or inputs.dtype != torch.float32:
        given = f"{inputs.dtype} {tuple(inputs.shape)}"
        raise DataError(f"{where} inputs are {given}", "a graph is one sample: float32 (1, nodes, features)")
    if bad := int((~inputs.isfinite()).sum()):
        raise DataError(f"{where} inputs hold {bad} NaN or infinite values")
    nodes = inputs.shape[1]
    if edges is None or edges.dtype != torch.int64 or edges.ndim != 2 or len(edges) != 2:
        given = "none" if edges is None else f"{edges.dtype} {tuple(edges.shape)}"
        raise DataError(f"{where} edges are {given}", "expected int64 (2, E)")
    for what, values, shape, least, end in (
        ("edges", edges, (2, edges.shape[1]), 0, nodes),
        ("classes", raw.targets, (1, nodes), -1, raw.outputs),
        ("parts", raw.parts, (nodes,), -1, len(PARTS)),
    ):
        if values is None:
            continue
        if values.dtype != torch.int64 or tuple(values.shape) != shape:
            given = f"{values.dtype} {tuple(values.shape)}"
            raise DataError(f"{where} {what} are {given}", f"expected int64 {shape}")
        if values.numel() and not least <= int(values.min()) <= int(values.max()) < end:
            given = f"from {int(values.min())} to {int(values.max())}"
            raise DataError(f"{where} {what} run {given}", f"expected {least} to {end - 1}")
