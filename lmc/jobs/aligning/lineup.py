"""Runs of one architecture, recorded once and matched: what every command that aligns shares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmc import symmetry
from lmc.core.registry import is_own_code
from lmc.data import Dataset
from lmc.jobs.aligning.evidence import Measured
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.opening.job import Job
from lmc.jobs.opening.pairs import PairSet
from lmc.jobs.opening.runs import Opened
from lmc.jobs.protocol.talk import Talk
from lmc.matching import Evidence, Matching, Needs
from lmc.models.computed import remarks
from lmc.models.stack import State, stack_states
from lmc.store import matchings
from lmc.store.matchings import StoredMatching
from lmc.symmetry import Group, Groups


@dataclass
class Lineup:
    """Runs of one architecture with their data, ready to be recorded and matched.

    Attributes:
        pairs: indices into ``runs`` whose neurons are compared.
        outputs: where stored matchings are looked for; None looks nowhere.
        given: what may permute, where that is known already.
        made: the matchings asked for so far, each computed or read once; ``to_store``: the same as they
            are written beside a job's tables.
    """

    runs: Sequence[Opened]
    pairs: Sequence[tuple[int, int]]
    dataset: Dataset
    network: nn.Module
    device: torch.device
    talk: Talk
    outputs: Path | None = None
    given: Groups | None = None
    made: dict[str, Matching] = field(default_factory=dict)
    to_store: list[StoredMatching] = field(default_factory=list)

    @classmethod
    def of(cls, pairs: PairSet, device: torch.device, talk: Talk, **further: Any) -> Lineup:
        """The runs of a set; ``further`` are ``outputs`` and ``given``."""
        network = pairs.runs[0].network(pairs.dataset)
        return cls(pairs.runs, pairs.pairs, pairs.dataset, network, device, talk, **further)

    @cached_property
    def states(self) -> list[State]:
        """Each run's effective weights."""
        return [opened.state(self.network) for opened in self.runs]

    @cached_property
    def stacked(self) -> State:
        """All runs' weights, (K, *shape), on the device that computes."""
        return {name: tensor.to(self.device) for name, tensor in stack_states(self.states).items()}

    def remark(self) -> None:
        """Warn of what a mean of the runs does not average as it does weights."""
        for remark in remarks(self.network, self.states):
            self.talk.warn(remark)

    @cached_property
    def groups(self) -> Groups:
        """What may permute, proved on this network before anything is permuted; doubts are said."""
        if self.given is not None:
            return self.given
        inputs = self.dataset.train.inputs
        groups = symmetry.permutation_groups(self.network, inputs[:4])
        proofs = symmetry.verify(self.network, groups, inputs[: symmetry.SAMPLES])
        doubts = {name: proof.doubt for name, proof in proofs.items() if proof.doubt}
        for doubt in dict.fromkeys(doubts.values()):
            names = ", ".join(name for name, own in doubts.items() if own == doubt)
            self.talk.warn(f"that {names} may permute is not proved: {doubt}")
        return groups

    @cached_property
    def compared(self) -> Groups:
        """The groups that can be matched: of every family, all neurons are seen somewhere on the data."""
        seen = [family for family in symmetry.families(self.groups) if all(map(_is_recorded, family))]
        names = {group.name for family in seen for group in family}
        left = [group for group in self.groups if group.name not in names]
        if left:
            listed = ", ".join(f"{group.name} ({group.size})" for group in left)
            self.talk.warn(f"left as they are, as no data pass through these neurons: {listed}")
        return Groups(tuple(group for group in self.groups if group.name in names), self.groups.fixed)

    @cached_property
    def measured(self) -> Measured:
        """Similarities and norm costs, each recorded once for whoever asks."""
        self.network.to(self.device)
        return Measured(
            self.network,
            self.compared,
            self.stacked,
            [opened.constraint for opened in self.runs],
            [opened.run.reference for opened in self.runs],
            self.pairs,
            self.dataset.train.inputs,
            self.talk,
        )

    def evidence(self, indices: Sequence[int], needs: Needs) -> Evidence:
        """What a matcher of some needs may look at, for some of the runs (the first is the reference)."""
        measured = self.measured

        def costs() -> dict[str, object]:
            return {
                name: None if found is None else [found[index] for index in indices]
                for name, found in measured.costs(needs).items()
            }

        return Evidence(
            self.compared,
            [self.states[index] for index in indices],
            lambda a, b, name: measured.similarity(indices[a], indices[b], name, needs),
            costs,  # type: ignore[arg-type]
        )

    def matching(self, matcher: Matcher, indices: Sequence[int] | None = None) -> Matching:
        """The matching of some runs (None: all), computed once, or read where it is stored already."""
        chosen = list(range(len(self.runs)) if indices is None else indices)
        digest = self._digest(matcher, chosen)
        if digest not in self.made:
            found = self._stored(matcher, digest) or self._made(matcher, chosen)
            self.made[digest] = found
            facts = {"objective": found.objective, "sweeps": float(found.sweeps), "seconds": found.seconds}
            references = [self.runs[index].run.reference for index in chosen]
            self.to_store.append(StoredMatching(digest, references, found.permutations, facts))
        return self.made[digest]

    def _made(self, matcher: Matcher, chosen: Sequence[int]) -> Matching:
        found = matcher(self.evidence(chosen, matcher.needs))
        still = self.groups.identity()
        return replace(found, permutations=[{**still, **own} for own in found.permutations])

    def _stored(self, matcher: Matcher, digest: str) -> Matching | None:
        """A matching of equal digest; never one by a user's own code, whose changes no digest shows."""
        if self.outputs is None or matcher.leaves or is_own_code(matcher.choice.name):
            return None
        stored = matchings.find(self.outputs, digest)
        if stored is None:
            return None
        facts, permutations = stored.facts, [dict(own) for own in stored.permutations]
        return Matching(
            permutations, facts["objective"], int(facts["sweeps"]), facts["seconds"], matcher.label
        )

    def _digest(self, matcher: Matcher, chosen: Sequence[int]) -> str:
        runs = [self.runs[index] for index in chosen]
        content = {
            "lmc": version("linear-mode-connectivity"),
            "match": matcher.content,
            "weights": [opened.weights_digest for opened in runs],
            "class": [opened.info.constraint_digest for opened in runs],
            "data": self.dataset.digest,
            "groups": [[group.name, group.size, group.blocks] for group in self.groups],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _is_recorded(group: Group) -> bool:
    return all(group.points.values()) and bool(group.points)


def line_up(job: Job) -> list[Lineup]:
    """The runs of every set of a job over pairs, ready to be matched."""
    return [Lineup.of(pairs, job.device, job.talk, outputs=job.outputs) for pairs in job.sets]


def pairs_in(lineups: Sequence[Lineup]) -> int:
    """How many pairs are compared."""
    return sum(len(lineup.pairs) for lineup in lineups)


def matchings_of(lineups: Sequence[Lineup]) -> list[StoredMatching]:
    """The matchings made so far, as they are written beside a job's tables."""
    return [matched for lineup in lineups for matched in lineup.to_store]
