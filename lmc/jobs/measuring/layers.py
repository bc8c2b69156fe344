"""Layers of stored runs: recorded run by run, and as rows of the table ``layer``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmc.core.errors import LmcError
from lmc.core.names import matching
from lmc.costs import CostedLayer, record_layers
from lmc.data import Dataset
from lmc.jobs.opening.job import Job
from lmc.jobs.opening.runs import Opened
from lmc.recording import LinearMap, Maps, linear_maps
from lmc.recording.maps import listed


@dataclass(frozen=True)
class Recorded:
    """One run, its network with its weights, its data, and its chosen layers."""

    opened: Opened
    network: nn.Module
    dataset: Dataset
    layers: dict[str, CostedLayer]
    device: torch.device


def layer_row(opened: Opened, layer: CostedLayer, **further: float) -> dict[str, Any]:
    """A row of the table ``layer``; a layer whose inputs span nothing has NaN."""
    row = {**opened.columns, "layer": layer.name, "inputs": layer.weight.shape[1]}
    try:
        subspace = layer.subspace
    except LmcError:
        return {**row, "dimension": 0}
    return {
        **row,
        "dimension": subspace.dimension,
        "explained_variance": subspace.explained_variance,
        "coherence": subspace.coherence,
        **further,
    }


def chosen_maps(
    network: nn.Module, inputs: Tensor, wanted: str | Sequence[str]
) -> tuple[list[LinearMap], str]:
    """The linear maps of a network whose names match, and a line on weights of which none are measured.

    Raises:
        SettingError: a pattern matches no layer.
        LmcError: the network has no linear map whose inputs can be recorded.
    """
    maps = linear_maps(network, inputs)
    others = unmeasured(maps)
    if not maps.found:
        raise LmcError(f"{type(network).__name__}: no linear map to measure", others or "it has no weights")
    return [maps.found[name] for name in matching(wanted, list(maps.found), "layer")], others


def unmeasured(maps: Maps) -> str:
    """One line on the weights whose inputs cannot be recorded; empty where there are none."""
    return f"not measured: {listed(maps.unmeasured)}" if maps.unmeasured else ""


def recorded(job: Job, all_epochs: bool = False) -> Iterator[Recorded]:
    """Every run of a job with its chosen layers.

    Raises:
        LmcError: a layer or a stored file is at fault; before the first run is recorded.
    """
    found = job.runs
    if all_epochs:
        found = [Opened(each.run, epoch, each.trust) for each in found for epoch in each.run.epochs()]
    ready, said = [], list[str]()
    for opened in found:
        dataset = opened.data(job.settings.data)
        network = opened.network(dataset)
        chosen, others = chosen_maps(network, dataset.train.inputs, job.settings.layers)
        if others and others not in said:
            said.append(others)
            job.talk.say(others)
        ready.append((opened, dataset, network, chosen))
    with job.talk.progress("recording", len(ready)) as bar:
        for opened, dataset, network, chosen in ready:
            state = opened.state(network)
            network.load_state_dict(state)
            stacked = {name: tensor[None].to(job.device) for name, tensor in state.items()}
            layers = record_layers(
                network.to(job.device),
                stacked,
                [opened.constraint],
                chosen,
                dataset.train.inputs,
                job.settings.ratio,
            )
            own = {layer.name: layers[0, layer.name] for layer in chosen}
            yield Recorded(opened, network, dataset, own, job.device)
            bar.advance()
