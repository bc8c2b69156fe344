"""The layers whose norm costs are defined, and what these are measured on (THEORY 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from lmc.costs.mahalanobis import Subspace, principal_subspace, realisation_cost, swap_cost
from lmc.costs.ridge import ridge_cost
from lmc.costs.swap import SwapCost
from lmc.models.stack import State
from lmc.recording import Moments, record
from lmc.recording.maps import LinearMap
from lmc.recording.moments import Source
from lmc.symmetry import Group, Groups, permutation_groups
from lmc.variants import Constraint


@dataclass(frozen=True)
class CostedLayer:
    """One layer of one run: effective weights (n, d), bias, D, f, and the moments of its inputs (d)."""

    name: str
    rows: Source
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

    def check(self) -> None:
        """Raise LmcError where the inputs span no subspace."""
        _ = self.subspace

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
    layers: Sequence[LinearMap],
    inputs: Tensor,
    ratio: float,
) -> dict[tuple[int, str], CostedLayer]:
    """Every (run, layer) of a stack, from one pass over the inputs (N, *input_shape).

    Args:
        stacked: name to (K, *shape), on the device that computes.
        constraints: one per run.
    """
    own = [(run, run) for run in range(len(constraints))]
    points: dict[Source, list[tuple[int, int]]] = {layer.rows: own for layer in layers}
    moments = record(network, stacked, inputs, points) if layers else {}
    return {
        (run, layer.name): CostedLayer(
            layer.name,
            layer.rows,
            layer.matrix(stacked[layer.weight][run]).cpu(),
            stacked[layer.bias][run].cpu() if layer.bias else None,
            _part(layer, constraint.masks),
            _part(layer, constraint.centres),
            moments[layer.rows].of(run),
            ratio,
        )
        for layer in layers
        for run, constraint in enumerate(constraints)
    }


def _part(layer: LinearMap, tensors: Mapping[str, Tensor]) -> Tensor | None:
    return layer.matrix(tensors[layer.weight]) if layer.weight in tensors else None


def is_mixed(constraint: Constraint, group: Group) -> bool:
    """Whether sigma's activation follows a group's neurons, so that norm costs say nothing (THEORY 1)."""
    recorded = (feature.point.module for features in group.points.values() for feature in features)
    return any(name in constraint.mixings for name in recorded)


def mixed_layers(constraint: Constraint, network: nn.Module, example: Tensor) -> set[str]:
    """Layers that a FiGLU follows."""
    groups: Iterable[Group] = permutation_groups(network, example) if constraint.mixings else Groups(())
    return {layer for group in groups if is_mixed(constraint, group) for layer in group.layers}


def owners(group: Group, maps: Mapping[str, LinearMap]) -> list[LinearMap]:
    """The linear maps whose outputs a group's neurons are, in the group's order."""
    order = {layer: place for place, layer in enumerate(group.layers)}
    there = {(axis.tensor, axis.axis) for axis in group.axes if axis.within is None}
    own = [each for each in maps.values() if (each.weight, each.axis) in there]
    return sorted(own, key=lambda each: order.get(each.name, len(order)))


def owned_rows(group: Group, layer: LinearMap) -> Tensor | None:
    """At which outputs of a layer the group's neurons lie, (copies, n); None where in their own order."""
    own = (layer.weight, layer.axis)
    places = [axis.places for axis in group.axes if (axis.tensor, axis.axis) == own]
    return None if places[0] is None else torch.tensor(places[0])
