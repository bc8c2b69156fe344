"""Coherence of a layer's inputs, anisotropy of its slots, and the bound on it (THEORY 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.schema import frame
from lmc.costs import CostedLayer, anisotropy, bound
from lmc.jobs.measuring.layers import Recorded, layer_row
from lmc.jobs.measuring.pairwise import Tables
from lmc.jobs.protocol.talk import Talk


def slot_anisotropy(layer: CostedLayer) -> Tensor:
    """||S_i - p I|| of every slot; zero where D is trivial."""
    layer.check()
    if layer.mask is None:
        return torch.zeros(len(layer.weight), dtype=torch.float64)
    return anisotropy(layer.mask, layer.subspace.basis)


def coherence_tables(run: Recorded, deltas: Sequence[float], talk: Talk) -> Iterator[Tables]:
    """Tables ``layer``, ``anisotropy`` and ``bound`` of every chosen layer of a run."""
    for layer in run.layers.values():
        try:
            found = slot_anisotropy(layer)
        except LmcError as error:
            talk.warn(f"{run.opened.run.reference}, {layer.name}: undefined, {error}")
            yield {"layer": frame("layer", [layer_row(run.opened, layer)])}
            continue
        mean, largest = float(found.mean()), float(found.max())
        row = layer_row(run.opened, layer, anisotropy_mean=mean, anisotropy_max=largest)
        which = {**run.opened.columns, "layer": layer.name}
        slots = torch.arange(len(found)).numpy()
        yield {
            "layer": frame("layer", [row]),
            "anisotropy": frame("anisotropy", {**which, "slot": slots, "anisotropy": found.numpy()}),
            "bound": frame("bound", _bounds(which, layer, found, deltas)),
        }


def _bounds(
    which: dict[str, Any], layer: CostedLayer, found: Tensor, deltas: Sequence[float]
) -> list[dict[str, Any]]:
    rows = []
    for delta in deltas:
        limit = 0.0 if layer.mask is None else bound(layer.mask, layer.subspace.basis, delta)
        within = float((found <= limit).double().mean())
        rows.append({**which, "delta": delta, "bound": limit, "share_within": within})
    return rows
