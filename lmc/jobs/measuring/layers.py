"""Layers of stored runs: recorded run by run, and as rows of the table ``layer``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lmc.core.errors import LmcError
from lmc.core.names import matching
from lmc.costs import CostedLayer, costed_layers, record_layers
from lmc.data import Dataset
from lmc.jobs.opening.job import Job
from lmc.jobs.opening.runs import Opened


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


def recorded(job: Job, all_epochs: bool = False) -> Iterator[Recorded]:
    """Every run of a job with its chosen layers.

    Raises:
        LmcError: a layer or a stored file is at fault; before the first run is recorded.
    """
    found = job.runs
    if all_epochs:
        found = [Opened(each.run, epoch, each.trust) for each in found for epoch in each.run.epochs()]
    ready = []
    for opened in found:
        dataset = opened.data(job.settings.data)
        network = opened.network(dataset)
        names = matching(job.settings.layers, costed_layers(network), "layer")
        ready.append((opened, dataset, network, names))
    with job.talk.progress("recording", len(ready)) as bar:
        for opened, dataset, network, names in ready:
            state = opened.state(network)
            network.load_state_dict(state)
            stacked = {name: tensor[None].to(job.device) for name, tensor in state.items()}
            layers = record_layers(
                network.to(job.device),
                stacked,
                [opened.constraint],
                names,
                dataset.train.inputs,
                job.settings.ratio,
            )
            yield Recorded(opened, network, dataset, {name: layers[0, name] for name in names}, job.device)
            bar.advance()
