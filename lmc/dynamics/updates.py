"""Which way weights went, and how far: per layer and overall, summed in float64 (THEORY 6)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from lmc.models.stack import State

WHOLE = "*"
"""The layer that stands for the whole network: no module has this name."""

Layers = Mapping[str, Sequence[str]]


def tensors_of(parameters: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """The parameters of every layer by the layer's name, and all of them as ``WHOLE``.

    A layer is a module with a parameter of two or more axes of its own, with everything it owns; a
    parameter of the network itself is a layer. (What has vectors only, such as norms, counts in ``WHOLE``.)
    """
    found: dict[str, list[str]] = {}
    for name in parameters:
        found.setdefault(name.rpartition(".")[0] or name, []).append(name)
    matrices = {
        layer: tuple(names)
        for layer, names in found.items()
        if any(parameters[name].dim() > 1 for name in names)
    }
    return {WHOLE: tuple(parameters), **matrices}


def updates(earlier: Mapping[str, Tensor], later: Mapping[str, Tensor], names: Iterable[str]) -> State:
    """What training added to the named tensors between two moments of one run."""
    return {name: later[name] - earlier[name] for name in names}


def cosines(a: Mapping[str, Tensor], b: Mapping[str, Tensor], layers: Layers) -> dict[str, float]:
    """Cosine similarity of two updates, layer by layer; NaN where one is zero."""
    found = {}
    for layer, names in layers.items():
        length = math.sqrt(_dot(a, a, names) * _dot(b, b, names))
        found[layer] = _dot(a, b, names) / length if length > 0 else math.nan
    return found


def distances(a: Mapping[str, Tensor], b: Mapping[str, Tensor], layers: Layers) -> dict[str, float]:
    """||a - b|| over the mean of ||a|| and ||b||, layer by layer: from 0 to 2; NaN where both are zero."""
    found = {}
    for layer, names in layers.items():
        scale = (math.sqrt(_dot(a, a, names)) + math.sqrt(_dot(b, b, names))) / 2
        apart = math.sqrt(sum(float((a[name].double() - b[name].double()).square().sum()) for name in names))
        found[layer] = apart / scale if scale > 0 else math.nan
    return found


def _dot(a: Mapping[str, Tensor], b: Mapping[str, Tensor], names: Sequence[str]) -> float:
    return sum(float(a[name].flatten().double() @ b[name].flatten().double()) for name in names)
