"""Pairs of stored runs, grouped by what can be recorded in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmc.core.errors import LmcError, raise_together
from lmc.data import Dataset
from lmc.jobs.opening.runs import Opened, check_comparable, open_runs, pairs_of
from lmc.jobs.protocol.commands.shared import Pairwise
from lmc.jobs.protocol.talk import Talk


@dataclass(frozen=True)
class PairSet:
    """Runs within which pairs were formed."""

    runs: list[Opened]
    pairs: list[tuple[int, int]]
    dataset: Dataset


def pair_sets(settings: Pairwise, talk: Talk) -> list[PairSet]:
    """Open and check every pair of a command before any is computed.

    Raises:
        LmcError: all faults of all pairs, together.
    """
    sets = open_runs(settings.outputs, settings.references, settings.trust, talk.say)
    return [make_pairs(runs, settings.pairs, settings.mixed, settings.data) for runs in sets]


def make_pairs(runs: Sequence[Opened], how: str, mixed: bool, moved: dict[str, object]) -> PairSet:
    """The pairs of one set, checked; runs without a partner are left out."""
    chosen = pairs_of(runs, how)
    faults: list[LmcError] = []
    for a, b in chosen:
        try:
            check_comparable(a, b, mixed)
        except LmcError as error:
            faults.append(error)
    raise_together(faults)
    used = list(dict.fromkeys(opened for pair in chosen for opened in pair))
    place = {opened: index for index, opened in enumerate(used)}
    return PairSet(used, [(place[a], place[b]) for a, b in chosen], used[0].data(moved))
