"""``lmc symmetry``: which axes of which tensors permute together, proved on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lmc import models, symmetry
from lmc.core.errors import RunReferenceError
from lmc.core.tables import concatenate, frame
from lmc.jobs.opening.data import load_data
from lmc.jobs.opening.runs import open_runs
from lmc.jobs.protocol import choices
from lmc.jobs.protocol.outcome import Outcome, Summary
from lmc.jobs.protocol.settings import Symmetry
from lmc.jobs.protocol.talk import Talk
from lmc.symmetry import Group, Groups

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Symmetry, talk: Talk) -> Outcome:
    """The groups of a model, or of the runs' models; tables ``symmetry`` and ``fixed``."""
    parts: dict[str, list[pd.DataFrame]] = {"symmetry": [], "fixed": []}
    shown: list[Summary] = []
    for name, network, example in _networks(settings):
        groups = symmetry.permutation_groups(network, example)
        symmetry.verify(network, groups, example)
        parts["symmetry"].append(frame("symmetry", _rows(name, groups)))
        parts["fixed"].append(
            frame(
                "fixed",
                [
                    {"model": name, "tensor": each.tensor, "axis": each.axis, "reason": each.reason}
                    for each in groups.fixed
                ],
            )
        )
        shown += _summaries(name, groups)
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    return Outcome(
        main="symmetry", tables=tables, references=tuple(tables["symmetry"]["group"]), summaries=tuple(shown)
    )


def _networks(settings: Symmetry) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Name, network and an example input: of the references, else of the model that the settings name."""
    if settings.references:
        seen: set[str] = set()
        for opened in (
            each for runs in open_runs(settings.outputs, settings.references, settings.trust) for each in runs
        ):
            if opened.run.experiment.name in seen:
                continue
            seen.add(opened.run.experiment.name)
            dataset = opened.data({})
            yield opened.run.experiment.name, opened.network(dataset), dataset.train.inputs[:2]
        if not seen:
            raise RunReferenceError(f"{' '.join(settings.references)}: no run")
        return
    bound = choices.bind("model", settings.model)
    if settings.input_shape is None:
        dataset = load_data({"name": settings.data["name"], **choices.bind("data", settings.data)})
        given, example = dataset.given, dataset.train.inputs[:2]
    else:
        given = {"input_shape": tuple(settings.input_shape), "outputs": settings.classes, "graph": None}
        example = torch.randn(2, *settings.input_shape, generator=torch.Generator().manual_seed(0))
    name = settings.model["name"]
    yield name, models.build(name, bound, given, 0).eval(), example


def _rows(model: str, groups: Groups) -> list[dict[str, Any]]:
    return [
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
        }
        for group in groups
        for axis in group.axes
    ]


def _summaries(model: str, groups: Groups) -> list[Summary]:
    import pandas as pd

    rows = [
        {
            "group": group.name,
            "neurons": str(group.size),
            "permute": _freedom(group),
            "layers": _listed(list(group.layers)),
            "read by": _listed(_readers(group)),
            "tensors": str(len({axis.tensor for axis in group.axes})),
        }
        for group in groups
    ]
    proof = "each verified: a random permutation left the outputs equal in float64 and moved weights"
    found = [Summary(f"{model}: {len(groups)} groups", pd.DataFrame(rows), (proof,))]
    if not rows:
        found = [Summary(f"{model}: no neurons permute", pd.DataFrame({"group": []}))]
    if groups.fixed:
        reasons: dict[str, list[str]] = {}
        for each in groups.fixed:
            reasons.setdefault(each.reason, []).append(f"{each.tensor}[{each.axis}]")
        fixed = [{"fixed by": reason, "axes": _listed(axes)} for reason, axes in reasons.items()]
        found.append(Summary("axes that stay", pd.DataFrame(fixed)))
    return found


def _freedom(group: Group) -> str:
    if group.blocks == 1:
        return "freely"
    inside = ", and inside them" if group.inner and group.block > 1 else ""
    with_others = f" (with {group.family})" if group.family not in ("", group.name) else ""
    return f"{group.blocks} blocks of {group.block}{inside}{with_others}"


def _readers(group: Group) -> list[str]:
    """Modules with the neurons on an input axis."""
    found = [axis.tensor.rpartition(".")[0] for axis in group.axes if axis.axis > 0]
    return [name for name in dict.fromkeys(found) if name not in group.layers or len(found) == 1]


def _listed(names: list[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
