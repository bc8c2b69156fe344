"""Runs of one set over their stored epochs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from lmc.core.errors import RunReferenceError
from lmc.core.names import matching
from lmc.data import Split
from lmc.dynamics import WHOLE, tensors_of
from lmc.jobs.opening.pairs import PairSet
from lmc.jobs.opening.runs import Opened, pair_columns
from lmc.models.stack import State

Row = dict[str, Any]

# The first epoch, the one before, and the present one.
_KEPT = 3


@dataclass
class Course:
    """The runs of one set, at every epoch that all of them store.

    Attributes:
        pairs: the runs, each at its last epoch that counts.
        epochs: two or more, in order.
        layers: parameters by layer, ``WHOLE`` among them.
    """

    pairs: PairSet
    epochs: list[int]
    network: nn.Module
    layers: Mapping[str, Sequence[str]]
    device: torch.device

    @classmethod
    def open(
        cls, pairs: PairSet, epochs: Sequence[int] | None, layers: str | Sequence[str], device: torch.device
    ) -> Course:
        """The course of a set.

        Raises:
            RunReferenceError: an epoch that some run does not store, or fewer than two in all.
            SettingError: a layer that is not there.
        """
        network = pairs.runs[0].network(pairs.dataset)
        found = tensors_of(dict(network.named_parameters()))
        chosen = matching(layers, [layer for layer in found if layer != WHOLE], "layer")
        kept = {layer: names for layer, names in found.items() if layer in (WHOLE, *chosen)}
        return cls(pairs, common_epochs(pairs.runs, epochs), network.to(device), kept, device)

    def at(self, epoch: int) -> PairSet:
        """The same runs at an epoch."""
        return replace(self.pairs, runs=[replace(opened, epoch=epoch) for opened in self.pairs.runs])

    def states(self, epoch: int) -> list[State]:
        """Every run's weights at an epoch, on the device that computes; the last few are kept."""
        found = self._read.pop(epoch, None) or [
            {name: tensor.to(self.device) for name, tensor in opened.state(self.network).items()}
            for opened in self.at(epoch).runs
        ]
        self._read[epoch] = found
        if len(self._read) > _KEPT:
            del self._read[next(iter(self._read))]
        return found

    @cached_property
    def _read(self) -> dict[int, list[State]]:
        return {}

    def between(self, epoch: int, **values: Any) -> Iterator[tuple[int, int, Row]]:
        """Every pair at an epoch, with the start of its row."""
        runs = self.at(epoch).runs
        for a, b in self.pairs.pairs:
            yield a, b, {**pair_columns(runs[a], runs[b]), **values}

    def over(self, earlier: int, later: int, **values: Any) -> Iterator[tuple[int, Row]]:
        """Every run at two epochs, with the start of its row."""
        for run, both in enumerate(zip(self.at(earlier).runs, self.at(later).runs, strict=True)):
            yield run, {**pair_columns(*both), **values}

    def split(self, name: str) -> Split:
        """One split of the data."""
        return self.pairs.dataset.splits[name]


def common_epochs(runs: Sequence[Opened], wanted: Sequence[int] | None) -> list[int]:
    """The stored epochs of all runs, up to those referred to; or the wanted ones.

    Raises:
        RunReferenceError: a wanted epoch is not stored by a run, there are fewer than two, or a run is there
            at two epochs.
    """
    twice = [opened for opened in runs if sum(other.run == opened.run for other in runs) > 1]
    if twice:
        raise RunReferenceError(
            f"{twice[0].run.reference}: named at two epochs", "name it once; epochs= chooses"
        )
    stored = {
        opened.run: {epoch for epoch in opened.run.epochs() if epoch <= opened.epoch} for opened in runs
    }
    if wanted is None:
        common = sorted(set.intersection(*stored.values()))
        named = ", ".join(dict.fromkeys(run.experiment.name for run in stored))
        given = f"{named}: all runs store {_listed(common)} only"
    else:
        common, given = sorted(set(wanted)), f"epochs={list(wanted)}: one epoch"
        for run, there in stored.items():
            missing = [epoch for epoch in common if epoch not in there]
            if missing:
                raise RunReferenceError(
                    f"{run.reference}: {_listed(missing)} not stored, but {_listed(there)}",
                    _HOW.format(",".join(map(str, common)).join("[]"), "them"),
                )
    if len(common) < 2:
        raise RunReferenceError(f"{given}, two are needed", _HOW.format(5, "every fifth"))
    return common


_HOW = "the same lmc train with training.checkpoints={} stores {}"


def _listed(epochs: Collection[int]) -> str:
    numbers = ", ".join(map(str, sorted(epochs))) or "none"
    return f"epoch{'s' if len(epochs) != 1 else ''} {numbers}"
