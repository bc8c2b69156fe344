"""Networks whose permutation groups are asked for, and the groups as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lmc import models
from lmc.core.errors import RunReferenceError
from lmc.core.schema import frame
from lmc.jobs.opening.data import load_data
from lmc.jobs.opening.runs import open_runs
from lmc.jobs.protocol import choices
from lmc.jobs.protocol.commands.measuring import Symmetry
from lmc.symmetry import SAMPLES, Groups, Proof

if TYPE_CHECKING:
    import pandas as pd

Named = tuple[str, nn.Module, Tensor]


def networks(settings: Symmetry) -> Iterator[Named]:
    """Name, network and an example input: of the references, else of the model that the settings name."""
    return _stored(settings) if settings.references else iter([_built(settings)])


def _stored(settings: Symmetry) -> Iterator[Named]:
    """One per experiment."""
    seen: set[str] = set()
    for runs in open_runs(settings.outputs, settings.references, settings.trust):
        for opened in runs:
            name = opened.run.experiment.name
            if name not in seen:
                seen.add(name)
                dataset = opened.data({})
                yield name, opened.network(dataset), dataset.train.inputs[:SAMPLES]
    if not seen:
        raise RunReferenceError(f"{' '.join(settings.references)}: no run")


def _built(settings: Symmetry) -> Named:
    bound = choices.bind("model", settings.model)
    if settings.input_shape is None:
        dataset = load_data({"name": settings.data["name"], **choices.bind("data", settings.data)})
        given, example = dataset.given, dataset.train.inputs[:SAMPLES]
    else:
        given = {"input_shape": tuple(settings.input_shape), "outputs": settings.classes, "graph": None}
        example = torch.randn(SAMPLES, *settings.input_shape, generator=torch.Generator().manual_seed(0))
    name = settings.model["name"]
    return name, models.build(name, bound, given, 0).eval(), example


def symmetry_tables(model: str, groups: Groups, proofs: Mapping[str, Proof]) -> dict[str, pd.DataFrame]:
    """The tables ``symmetry`` and ``fixed`` of a model, with what was shown of every axis."""
    rows = [
        {
            "model": model,
            "group": group.name,
            "neurons": group.size,
            "blocks": group.blocks,
            "inner": group.inner,
            "family": group.family or group.name,
            "tensor": axis.tensor,
            "axis": axis.axis,
            "copies": 1 if axis.places is None else len(axis.places),
            "proved": proofs[group.name].proves(axis),
            "control": proofs[group.name].controls.get(axis, math.nan),
            "change": proofs[group.name].change,
            "tolerance": proofs[group.name].tolerance,
            "precision": proofs[group.name].precision,
        }
        for group in groups
        for axis in group.axes
    ]
    stay = [
        {"model": model, "tensor": each.tensor, "axis": each.axis, "reason": each.reason}
        for each in groups.fixed
    ]
    return {"symmetry": frame("symmetry", rows), "fixed": frame("fixed", stay)}
