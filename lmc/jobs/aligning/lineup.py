"""Runs of one architecture, recorded once and matched: what every command that aligns shares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from lmc import symmetry
from lmc.data import Dataset
from lmc.jobs.aligning.evidence import Measured
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.opening.job import Job
from lmc.jobs.opening.pairs import PairSet
from lmc.jobs.opening.runs import Opened
from lmc.jobs.protocol.talk import Talk
from lmc.matching import Evidence, Matching, Needs
from lmc.models.stack import State, stack_states
from lmc.store import matchings
from lmc.store.matchings import StoredMatching
from lmc.symmetry import Groups


@dataclass
class Lineup:
    """Runs of one architecture with their data, ready to be recorded and matched.

    Attributes:
        pairs: indices into ``runs`` whose neurons are compared.
        outputs: where stored matchings are looked for; None looks nowhere.
        made: the matchings asked for so far, each computed or read once.
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
    _kept: dict[str, StoredMatching] = field(default_factory=dict)

    @cached_property
    def states(self) -> list[State]:
        """Each run's effective weights."""
        return [opened.state(self.network) for opened in self.runs]

    @cached_property
    def stacked(self) -> State:
        """All runs' weights, (K, *shape), on the device that computes."""
        return {name: tensor.to(self.device) for name, tensor in stack_states(self.states).items()}

    @cached_property
    def groups(self) -> Groups:
        """What may permute, proved on this network before anything is permuted."""
        if self.given is not None:
            return self.given
        example = self.dataset.train.inputs[:4]
        groups = symmetry.permutation_groups(self.network, example)
        symmetry.verify(self.network, groups, example)
        return groups

    @cached_property
    def measured(self) -> Measured:
        """Similarities and norm costs, each recorded once for whoever asks."""
        self.network.to(self.device)
        return Measured(
            self.network,
            self.groups,
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
            self.groups,
            [self.states[index] for index in indices],
            lambda a, b, name: measured.similarity(indices[a], indices[b], name, needs),
            costs,  # type: ignore[arg-type]
        )

    def matching(self, matcher: Matcher, indices: Sequence[int] | None = None) -> Matching:
        """The matching of some runs (None: all), computed once, or read where it is stored already."""
        chosen = list(range(len(self.runs)) if indices is None else indices)
        digest = self._digest(matcher, chosen)
        if digest not in self.made:
            stored = None if matcher.leaves or self.outputs is None else matchings.find(self.outputs, digest)
            if stored is None:
                self.made[digest] = matcher(self.evidence(chosen, matcher.needs))
            else:
                self.made[digest] = Matching(
                    [dict(own) for own in stored.permutations],
                    stored.facts["objective"],
                    int(stored.facts["sweeps"]),
                    stored.facts["seconds"],
                    matcher.label,
                )
            if not matcher.leaves:
                self._keep(digest, chosen, self.made[digest])
        return self.made[digest]

    def aligned(self, matcher: Matcher, indices: Sequence[int] | None = None) -> list[State]:
        """The weights of some runs (None: all) with their neurons in common slots."""
        chosen = list(range(len(self.runs)) if indices is None else indices)
        states = [self.states[index] for index in chosen]
        return states if matcher.leaves else self.matching(matcher, chosen).applied(self.groups, states)

    @property
    def to_store(self) -> list[StoredMatching]:
        """The matchings made so far, as they are written beside a job's tables."""
        return list(self._kept.values())

    def _keep(self, digest: str, chosen: Sequence[int], found: Matching) -> None:
        facts = {"objective": found.objective, "sweeps": float(found.sweeps), "seconds": found.seconds}
        references = [self.runs[index].run.reference for index in chosen]
        self._kept[digest] = StoredMatching(digest, references, found.permutations, facts)

    def _digest(self, matcher: Matcher, chosen: Sequence[int]) -> str:
        content = {
            "match": matcher.content,
            "weights": [self.runs[index].weights_digest for index in chosen],
            "class": [self.runs[index].info["constraint_digest"] for index in chosen],
            "data": self.dataset.digest,
            "groups": [[group.name, group.size, group.blocks] for group in self.groups]
            if not matcher.leaves
            else [],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def line_up(pairs: PairSet, job: Job) -> Lineup:
    """The runs of a set of a job's, ready to be matched."""
    network = pairs.runs[0].network(pairs.dataset)
    return Lineup(pairs.runs, pairs.pairs, pairs.dataset, network, job.device, job.talk, job.outputs)
