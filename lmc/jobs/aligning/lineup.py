"""Runs of one architecture, recorded once and matched: what ``match``, ``merge`` and ``path`` share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lmc import matching, symmetry
from lmc.core.errors import LmcError
from lmc.data import Dataset
from lmc.jobs.measuring.layers import Layer, has_costs, is_mixed, record_layers
from lmc.jobs.opening.runs import Opened
from lmc.jobs.protocol.choices import Choice
from lmc.jobs.protocol.outcome import Talk
from lmc.matching.identifiability import SwapCost, total
from lmc.matching.similarity import SIMILARITIES
from lmc.models.stack import State, stack_states
from lmc.recording import Moments, record
from lmc.recording.moments import Source
from lmc.symmetry import Group, Groups


@dataclass(frozen=True)
class Matcher:
    """A chosen matcher, and what it wants recorded."""

    choice: Choice

    @classmethod
    def bind(cls, group: Mapping[str, Any]) -> Matcher:
        """From a settings group; raises SettingError with all faults."""
        return cls(Choice.bind("match", group))

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.choice.label

    @property
    def point(self) -> str:
        """The recording point."""
        return str(self.choice.settings.get("point", "activation"))

    @property
    def similarity(self) -> str:
        """The similarity of two neurons."""
        return str(self.choice.settings.get("similarity", "pearson"))

    @property
    def ratio(self) -> float:
        """Share of variance of the subspace that costs are measured on."""
        return float(self.choice.settings.get("ratio", 0.9))

    @property
    def tau(self) -> float:
        """What counts as a cheap exchange."""
        return float(self.choice.settings.get("tau", 1.0))

    @property
    def estimate(self) -> str:
        """Which norm costs gate: mahalanobis or ridge."""
        return str(self.choice.settings.get("estimate", "mahalanobis"))

    @property
    def beta(self) -> float:
        """Of the ridge estimate."""
        return float(self.choice.settings.get("beta", 0.01))

    def __call__(self, evidence: matching.Evidence) -> list[matching.Permutations]:
        """One permutation a run, the identity for the first."""
        return self.choice.builder(evidence, **self.choice.settings)


@dataclass
class Lineup:
    """Runs of one architecture with their data, ready to be recorded and matched.

    Attributes:
        pairs: indices into ``runs`` whose neurons will be compared.
        matcher: whose recording point, similarity and ratio are used.
    """

    runs: Sequence[Opened]
    pairs: Sequence[tuple[int, int]]
    dataset: Dataset
    network: nn.Module
    matcher: Matcher
    device: torch.device
    talk: Talk

    @cached_property
    def states(self) -> list[dict[str, Tensor]]:
        """Each run's effective weights."""
        return [opened.state(self.network) for opened in self.runs]

    @cached_property
    def groups(self) -> Groups:
        """What may permute, proved on this network before anything is permuted."""
        example = self.dataset.train.inputs[:4]
        groups = symmetry.permutation_groups(self.network, example)
        symmetry.verify(self.network, groups, example)
        return groups

    @cached_property
    def moments(self) -> dict[Source, Moments]:
        """One pass over the training data: the neurons that are compared, with their cross-covariances."""
        recorded = [feature for group in self.groups for feature in group.points[self.matcher.point]]
        return self._record({feature: list(self.pairs) for feature in recorded})

    @cached_property
    def layers(self) -> dict[tuple[int, str], Layer]:
        """Every layer with norm costs of every run; recorded when costs are asked for."""
        costed = [layer for group in self.groups for layer in group.layers if has_costs(self.network, layer)]
        return record_layers(
            self.network.to(self.device),
            self._stacked(),
            [opened.constraint for opened in self.runs],
            list(dict.fromkeys(costed)),
            self.dataset.train.inputs,
            self.matcher.ratio,
        )

    def _stacked(self) -> State:
        return {name: tensor.to(self.device) for name, tensor in stack_states(self.states).items()}

    def _record(self, points: Mapping[Source, Iterable[tuple[int, int]]]) -> dict[Source, Moments]:
        if not points:
            return {}
        found = record(self.network.to(self.device), self._stacked(), self.dataset.train.inputs, points)
        return {
            point: Moments(
                moments.count,
                moments.mean.cpu(),
                moments.variance.cpu(),
                {pair: value.cpu() for pair, value in moments.covariances.items()},
            )
            for point, moments in found.items()
        }

    def similarity(self, a: int, b: int, group: Group) -> Tensor:
        """(n, n), the mean over the group's recording points."""
        measure = SIMILARITIES[self.matcher.similarity]
        recorded = [self.moments[feature] for feature in group.points[self.matcher.point]]
        return torch.stack([measure(moments, a, b) for moments in recorded]).mean(dim=0)

    @cached_property
    def costs(self) -> dict[str, list[SwapCost] | None]:
        """Swap costs by group, one a run; None where undefined (THEORY 1: FiGLU layers)."""
        return {group.name: self._group_costs(group) for group in self.groups}

    def _group_costs(self, group: Group) -> list[SwapCost] | None:
        recorded = [feature.point.module for features in group.points.values() for feature in features]
        costed = [layer for layer in group.layers if has_costs(self.network, layer)]
        others = [layer for layer in group.layers if layer not in costed]
        for opened in self.runs:
            if is_mixed(opened.constraint, recorded) or any(map(opened.constraint.holds, others)):
                return None
        costs = []
        for index, opened in enumerate(self.runs):
            try:
                costs.append(total(group.size, [self._layer_cost(index, group, layer) for layer in costed]))
            except LmcError as error:
                self.talk.say(f"warning: {opened.run.reference}, {group.name}: no norm costs, {error}")
                return None
        return costs

    def _layer_cost(self, index: int, group: Group, layer: str) -> SwapCost:
        whole = self.layers[index, layer].swap_cost(self.matcher.estimate, self.matcher.beta)
        places = [axis.places for axis in group.axes if axis.tensor == f"{layer}.weight" and axis.axis == 0]
        return whole if places[0] is None else whole.at(torch.tensor(places[0]))

    def evidence(self, indices: Sequence[int]) -> matching.Evidence:
        """What a matcher may look at, for some of the runs (the first is the reference)."""
        by_name = {group.name: group for group in self.groups}

        def costs() -> dict[str, list[SwapCost] | None]:
            return {
                name: None if found is None else [found[index] for index in indices]
                for name, found in self.costs.items()
            }

        return matching.Evidence(
            self.groups,
            [self.states[index] for index in indices],
            lambda a, b, name: self.similarity(indices[a], indices[b], by_name[name]),
            costs,
        )

    def aligned(self, index: int, permutations: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A run's weights with its neurons permuted."""
        return symmetry.apply(self.groups, permutations, self.states[index])
