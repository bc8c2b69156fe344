"""Layers of stored runs with what their norm costs are measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lmc.core.errors import LmcError, SettingError
from lmc.costs import Subspace, principal_subspace, realisation_cost, ridge_cost, swap_cost
from lmc.data import Dataset
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.runs import Opened, open_runs
from lmc.jobs.protocol.settings import Layerwise
from lmc.jobs.protocol.talk import Talk
from lmc.matching.identifiability import SwapCost
from lmc.models.stack import Point, State
from lmc.recording import Moments, record
from lmc.recording.moments import Source, has_patches
from lmc.symmetry import permutation_groups
from lmc.variants import Constraint


def has_costs(network: nn.Module, layer: str) -> bool:
    """Whether norm costs are defined for a module: linear layers, and convolutions of one group."""
    part = network.get_submodule(layer)
    if isinstance(part, nn.Conv2d):
        return has_patches(part)
    return isinstance(part, nn.Linear)


def chosen_layers(network: nn.Module, wanted: str | Sequence[str]) -> list[str]:
    """The layers with norm costs that match names or globs, in order.

    Raises:
        SettingError: a pattern matches none; the layers there are.
    """
    there = [name for name, _ in network.named_modules() if name and has_costs(network, name)]
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in there):
            raise SettingError(f"layers={pattern}: matches no layer", "there are: " + ", ".join(there))
    return [name for name in there if any(fnmatchcase(name, pattern) for pattern in patterns)]


@dataclass(frozen=True)
class Layer:
    """One layer of one run: effective weights (n, d), bias, D, f, and the moments of its inputs (d)."""

    name: str
    weight: Tensor
    bias: Tensor | None
    mask: Tensor | None
    centre: Tensor | None
    moments: Moments
    ratio: float

    @cached_property
    def subspace(self) -> Subspace:
        """Of the inputs; raises LmcError where they are constant or not finite."""
        return principal_subspace(self.moments, self.ratio)

    def mahalanobis(self, outside: str = "infinite") -> Tensor:
        """C (n, n), [slot, neuron]."""
        return realisation_cost(self.weight, self.mask, self.centre, self.subspace.basis, outside)  # type: ignore[arg-type]

    def swap_cost(self, estimate: str = "mahalanobis", beta: float = 0.01) -> SwapCost:
        """What exchanging its neurons adds, by either estimate."""
        if estimate == "mahalanobis":
            cost = self.mahalanobis()
        else:
            cost = ridge_cost(self.moments, self.weight, self.bias, self.mask, self.centre, beta).total
        return SwapCost(swap_cost(cost), cost.diagonal().clone())


def record_layers(
    network: nn.Module,
    stacked: State,
    constraints: Sequence[Constraint],
    layers: Sequence[str],
    inputs: Tensor,
    ratio: float,
) -> dict[tuple[int, str], Layer]:
    """Every (run, layer) of a stack, from one pass over the inputs (N, *input_shape).

    Args:
        stacked: name to (K, *shape), on the device that computes.
        constraints: one a run.
    """
    own = [(run, run) for run in range(len(constraints))]
    points: dict[Source, list[tuple[int, int]]] = {Point(layer, "input"): own for layer in layers}
    moments = record(network, stacked, inputs, points) if layers else {}
    return {
        (run, layer): Layer(
            layer,
            stacked[f"{layer}.weight"][run].flatten(1).cpu(),
            stacked[f"{layer}.bias"][run].cpu() if f"{layer}.bias" in stacked else None,
            constraint.mask(layer),
            constraint.centre(layer),
            moments[Point(layer, "input")].of(run),
            ratio,
        )
        for layer in layers
        for run, constraint in enumerate(constraints)
    }


def is_mixed(constraint: Constraint, modules: Sequence[str]) -> bool:
    """Whether sigma's activation follows one of the modules, so that norm costs say nothing (THEORY 1)."""
    return any(name in constraint.mixings for name in modules)


def mixed_layers(constraint: Constraint, network: nn.Module, example: Tensor) -> set[str]:
    """Layers that a FiGLU follows."""
    if not constraint.mixings:
        return set()
    return {
        layer
        for group in permutation_groups(network, example)
        for layer in group.layers
        if is_mixed(
            constraint, [each.point.module for features in group.points.values() for each in features]
        )
    }


def off_diagonal(delta: Tensor) -> Tensor:
    """The entries with i < j of a symmetric (n, n) matrix."""
    rows, columns = torch.triu_indices(len(delta), len(delta), offset=1)
    return delta[rows, columns]


def layer_row(opened: Opened, layer: Layer, **further: float) -> dict[str, Any]:
    """A row of the table ``layer``; a layer whose inputs span nothing has NaN."""
    experiment, seed, epoch = opened.key
    row: dict[str, Any] = {"experiment": experiment, "seed": seed, "epoch": epoch, "layer": layer.name}
    row["inputs"] = layer.weight.shape[1]
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


def open_layers(
    settings: Layerwise, talk: Talk, all_epochs: bool = False
) -> Iterator[tuple[Opened, nn.Module, Dataset, dict[str, Layer], torch.device]]:
    """Every run of the references with its network, weights loaded, its data and its chosen layers.

    Raises:
        LmcError: a reference, a layer or a stored file is at fault; before the first run is recorded.
    """
    found = [
        each for runs in open_runs(settings.outputs, settings.references, settings.trust) for each in runs
    ]
    if all_epochs:
        found = [Opened(each.run, epoch, each.trust) for each in found for epoch in each.run.epochs()]
    device = use_device(settings.device, settings.threads)
    ready = []
    for opened in found:
        dataset = opened.data(settings.data)
        network = opened.network(dataset)
        ready.append((opened, dataset, network, chosen_layers(network, settings.layers)))
    with talk.progress("recording", len(ready)) as bar:
        for opened, dataset, network, names in ready:
            state = opened.state(network)
            network.load_state_dict(state)
            stacked = {name: tensor[None].to(device) for name, tensor in state.items()}
            inputs = dataset.train.inputs
            recorded = record_layers(
                network.to(device), stacked, [opened.constraint], names, inputs, settings.ratio
            )
            yield opened, network, dataset, {name: recorded[0, name] for name in names}, device
            bar.advance()
