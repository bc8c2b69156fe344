"""Similarities and swap costs of the runs of a lineup, recorded once for every matcher that asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lmc.core.errors import LmcError
from lmc.core.seeds import generator
from lmc.costs import CostedLayer, SwapCost, record_layers
from lmc.costs.layer import is_mixed, owned_rows, owners
from lmc.costs.swap import total
from lmc.jobs.protocol.talk import Talk
from lmc.matching import Needs
from lmc.matching.similarity import SIMILARITIES, constant
from lmc.models.stack import State
from lmc.recording import LinearMap, Maps, Moments, linear_maps, record
from lmc.recording.moments import Source
from lmc.symmetry import Group, Groups
from lmc.variants import Constraint

GroupCosts = dict[str, list[SwapCost] | None]


@dataclass
class Measured:
    """What is measured of K runs, by what a matcher needs and never by another matcher's settings.

    Attributes:
        stacked: name to (K, *shape), on the device that computes.
        pairs: runs whose neurons are compared.
        inputs: (N, *input_shape), training inputs.
    """

    network: nn.Module
    groups: Groups
    stacked: State
    constraints: Sequence[Constraint]
    references: Sequence[str]
    pairs: Sequence[tuple[int, int]]
    inputs: Tensor
    talk: Talk
    _moments: dict[Any, dict[Source, Moments]] = field(default_factory=dict)
    _layers: dict[float, dict[tuple[int, str], CostedLayer]] = field(default_factory=dict)
    _costs: dict[Any, GroupCosts] = field(default_factory=dict)

    def moments(self, needs: Needs) -> dict[Source, Moments]:
        """One pass over the inputs: the compared neurons at a recording point, with cross-covariances."""
        if needs.recorded not in self._moments:
            features = [feature for group in self.groups for feature in group.points[needs.point]]
            points: dict[Source, list[tuple[int, int]]] = {each: list(self.pairs) for each in features}
            found = record(self.network, self.stacked, self._sample(needs), points) if points else {}
            self._moments[needs.recorded] = {point: _on_cpu(moments) for point, moments in found.items()}
        return self._moments[needs.recorded]

    def _sample(self, needs: Needs) -> Tensor:
        if needs.samples is None or needs.samples >= len(self.inputs):
            return self.inputs
        drawn = torch.randperm(len(self.inputs), generator=generator("match samples"))
        return self.inputs[drawn[: needs.samples].sort().values]

    def _recorded(self, group: Group, needs: Needs) -> list[Moments]:
        moments = self.moments(needs)
        return [moments[feature] for feature in group.points[needs.point]]

    def similarity(self, a: int, b: int, name: str, needs: Needs) -> Tensor:
        """(n, n), the mean over the group's recording points."""
        measure = SIMILARITIES[needs.similarity]
        recorded = self._recorded(self._group(name), needs)
        return torch.stack([measure(moments, a, b) for moments in recorded]).mean(dim=0)

    def constant(self, run: int, name: str, needs: Needs) -> Tensor:
        """Which neurons of a run are the same on all inputs, wherever they are recorded, (n,) bool."""
        recorded = self._recorded(self._group(name), needs)
        return torch.stack([constant(moments, run) for moments in recorded]).all(dim=0)

    def _group(self, name: str) -> Group:
        return next(group for group in self.groups if group.name == name)

    @cached_property
    def maps(self) -> Maps:
        """The linear maps of the network."""
        return linear_maps(self.network, self.inputs)

    def layers(self, ratio: float) -> dict[tuple[int, str], CostedLayer]:
        """Every layer with norm costs of every run; recorded once, when costs are first asked for."""
        if not self._layers:
            there = dict.fromkeys(layer.name for group in self.groups for layer in self._owners(group))
            maps = [self.maps.found[name] for name in there]
            self._layers[ratio] = record_layers(
                self.network, self.stacked, self.constraints, maps, self.inputs, ratio
            )
        if ratio not in self._layers:
            recorded = next(iter(self._layers.values()))
            self._layers[ratio] = {place: replace(layer, ratio=ratio) for place, layer in recorded.items()}
        return self._layers[ratio]

    def _owners(self, group: Group) -> list[LinearMap]:
        return owners(group, self.maps.found)

    def costs(self, needs: Needs) -> GroupCosts:
        """Swap costs by group, one per run; None where undefined (THEORY 1: FiGLU layers)."""
        if needs.costs not in self._costs:
            layers = self.layers(needs.ratio)
            self._costs[needs.costs] = {
                group.name: self._group_costs(group, layers, needs) for group in self.groups
            }
        return self._costs[needs.costs]

    def _group_costs(
        self, group: Group, layers: dict[tuple[int, str], CostedLayer], needs: Needs
    ) -> list[SwapCost] | None:
        if any(is_mixed(own, group) for own in self.constraints):
            return None
        costed = self._owners(group)
        without = self._constrained(group) - {layer.weight for layer in costed}
        if without:
            self.talk.warn(
                f"{group.name}: no norm costs, as those of {', '.join(sorted(without))} are unknown"
            )
            return None
        costs = []
        for run, reference in enumerate(self.references):
            try:
                parts = [_of_group(layers[run, layer.name], group, layer, needs) for layer in costed]
                costs.append(total(group.size, parts))
            except LmcError as error:
                self.talk.warn(f"{reference}, {group.name}: no norm costs, {error}")
                return None
        return costs

    def _constrained(self, group: Group) -> set[str]:
        """Weights with D or f whose rows are the group's neurons."""
        held = {name for own in self.constraints for name in (*own.masks, *own.centres)}
        rows = {layer.weight: layer.axis for layer in self.maps.found.values()}
        there = [axis for axis in group.axes if axis.tensor in held and axis.within is None]
        return {axis.tensor for axis in there if axis.axis == rows.get(axis.tensor, 0)}


def _of_group(layer: CostedLayer, group: Group, own: LinearMap, needs: Needs) -> SwapCost:
    whole = layer.swap_cost(needs.estimate, needs.beta)
    rows = owned_rows(group, own)
    return whole if rows is None else whole.at(rows)


def _on_cpu(moments: Moments) -> Moments:
    covariances = {pair: value.cpu() for pair, value in moments.covariances.items()}
    return Moments(moments.count, moments.mean.cpu(), moments.variance.cpu(), covariances)
