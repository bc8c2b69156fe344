"""Two runs with their neurons aligned: what is scanned, and what representations are merged of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lmc import paths, symmetry
from lmc.core.errors import SettingError
from lmc.data import Dataset, Split
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.opening.runs import Opened, pair_columns
from lmc.models.stack import State, batch_norms


@dataclass(frozen=True)
class Aligned:
    """Runs A and B of a lineup, on its device, after B's neurons were permuted to match A's.

    ``permuted``: whether they were; not without a matcher.
    """

    which: dict[str, Any]
    runs: tuple[Opened, Opened]
    permuted: bool
    network: nn.Module
    dataset: Dataset
    a: State
    b: State

    @classmethod
    def of(cls, lineup: Lineup, a: int, b: int, matcher: Matcher) -> Aligned:
        """Two of the lineup's runs by a matcher; A stays as it is stored."""
        state = lineup.states[b]
        if not matcher.leaves:
            moves = lineup.matching(matcher, [a, b]).between(0, 1)
            state = symmetry.apply(lineup.groups, moves, state)
        runs = (lineup.runs[a], lineup.runs[b])
        which = {**pair_columns(*runs), "match": matcher.label}
        network, device = lineup.network.to(lineup.device), lineup.device
        ends = (_on(lineup.states[a], device), _on(state, device))
        return cls(which, runs, not matcher.leaves, network, lineup.dataset, *ends)

    def scene(
        self, alphas: Sequence[float], restatistics: bool | None = None, splits: Sequence[str] | None = None
    ) -> paths.Scene:
        """The straight way from A to B on the splits that have samples, or on some of these.

        Args:
            restatistics: whether BatchNorm statistics are re-estimated; None means: where there are any.
        """
        again = bool(batch_norms(self.network)) if restatistics is None else restatistics
        task, there = self.dataset.task, self.dataset.splits.items()
        chosen = {
            name: (split.inputs, split.targets)
            for name, split in there
            if len(split) and (splits is None or name in splits)
        }
        statistics = self.dataset.train.inputs if again else None
        return paths.Scene(
            self.network, self.a, self.b, alphas, chosen, task.losses, task.correct, statistics
        )


def each_aligned(lineups: Iterable[Lineup], matchers: Sequence[Matcher]) -> Iterator[Aligned]:
    """Every pair of every lineup under every matcher."""
    for lineup in lineups:
        lineup.remark()
        for a, b in lineup.pairs:
            for matcher in matchers:
                yield Aligned.of(lineup, a, b, matcher)


def _on(state: State, device: torch.device) -> State:
    return {name: tensor.to(device) for name, tensor in state.items()}


def named_split(dataset: Dataset, name: str) -> Split:
    """A split that has samples; raises SettingError with those there are."""
    split = dataset.splits[name]
    if not len(split):
        there = ", ".join(each for each, part in dataset.splits.items() if len(part))
        raise SettingError(f"split={name}: this split is empty", f"there are: {there}")
    return split
