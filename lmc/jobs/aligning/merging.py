"""Runs of a lineup merged into one network, and the class that it is in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lmc.core.errors import LmcError, RunReferenceError, raise_together
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.opening.runs import Opened, check_comparable
from lmc.jobs.protocol.choices import Choice
from lmc.jobs.protocol.talk import Talk
from lmc.matching import Matching
from lmc.merging import Material, Merged
from lmc.models.computed import settled, unified
from lmc.models.stack import State, batch_norms
from lmc.recording import evaluate, reestimate
from lmc.variants import Constraint

_WARNING = "warning: "


@dataclass(frozen=True)
class MergedRuns:
    """A merged network; its D, f and C; and its losses, one mapping per split.

    ``before``: the losses that it would have had outside of the class of its parents, where it was kept
    inside.
    """

    merged: Merged
    constraint: Constraint
    losses: list[dict[str, Any]]
    before: list[dict[str, Any]] | None


def check_mergeable(runs: Sequence[Opened], mixed: bool) -> None:
    """Refuse runs that cannot be merged; raises LmcError with all faults."""
    if len(runs) < 2:
        raise RunReferenceError(
            f"{runs[0].run.reference}: only one run given; two are required",
            "name two runs, or an experiment of several",
        )
    faults: list[LmcError] = []
    for other in runs[1:]:
        try:
            check_comparable(runs[0], other, mixed)
        except LmcError as error:
            faults.append(error)
    raise_together(faults)


def merge_runs(
    lineup: Lineup, matcher: Matcher, merger: Choice, restatistics: bool | None, talk: Talk
) -> MergedRuns:
    """Match all runs of a lineup and merge them."""
    matching = lineup.matching(matcher)
    if matching.runs > 2 and not matcher.leaves:
        talk.say(_how_matched(lineup, matcher, matching))
    network = lineup.network.to(lineup.device)
    again = bool(batch_norms(network)) if restatistics is None else restatistics
    shared = len({opened.constraint.digest() for opened in lineup.runs}) == 1
    first = lineup.runs[0].constraint
    lineup.remark()
    material = Material(
        unified(network, matching.applied(lineup.groups, lineup.states)),
        network,
        lineup.dataset.train.inputs,
        first if shared else None,
        again,
        lineup.device,
        talk.progress,
    )
    merged = merger.builder(material, **merger.settings)
    for note in merged.notes:
        tell = talk.warn if note.startswith(_WARNING) else talk.say
        tell(note.removeprefix(_WARNING))
    merged = _restated(merged, lineup, again)
    constraint = _class_of(first, shared, matching.moves, merged, talk)
    before = None if merged.outside is None else list(_losses(lineup, merged.outside))
    return MergedRuns(merged, constraint, list(_losses(lineup, merged.state)), before)


def _how_matched(lineup: Lineup, matcher: Matcher, matching: Matching) -> str:
    """What more than two runs were matched to, and whether their order counts."""
    if matcher.needs.reference == "mean":
        return (
            f"{matching.runs} runs matched, each to the mean of the others until none moved: "
            f"mean similarity of a pair {matching.objective:.3g}, sweeps {matching.sweeps}"
        )
    first = lineup.runs[0].run.reference
    return f"{matching.runs} runs matched, each to the first ({first}): another first run, another network"


def _class_of(first: Constraint, shared: bool, moved: bool, merged: Merged, talk: Talk) -> Constraint:
    """The parents' D, f where the merged network is still in their class, else none (THEORY 1)."""
    state = merged.state
    if not first.tensors():
        return first
    mixed = all(torch.equal(state[f"{name}.mixing"], mixing) for name, mixing in first.mixings.items())
    kept = merged.outside is not None or not moved
    if shared and kept and mixed and not first.broken_by(state):
        return first
    talk.say("the merged network no longer satisfies the parents' mask and centre; stored unconstrained")
    return Constraint(mixings={name: state[f"{name}.mixing"] for name in first.mixings})


def _restated(merged: Merged, lineup: Lineup, statistics: bool) -> Merged:
    """With estimates of its own weights, and where asked for BatchNorm statistics of its own."""

    def again(state: State) -> State:
        fresh = settled(lineup.network, _stack_of_one(state, lineup.device))
        if statistics:
            fresh = reestimate(lineup.network, fresh, lineup.dataset.train.inputs)
        return {name: tensor[0].cpu() for name, tensor in fresh.items()}

    outside = None if merged.outside is None else again(merged.outside)
    return replace(merged, state=again(merged.state), outside=outside)


def _stack_of_one(state: State, device: torch.device) -> State:
    return {name: tensor.to(device)[None] for name, tensor in state.items()}


def _losses(lineup: Lineup, state: State) -> Iterator[dict[str, Any]]:
    """Loss and accuracy on every split that has samples."""
    task = lineup.dataset.task
    stack = _stack_of_one(state, lineup.device)
    for name, split in lineup.dataset.splits.items():
        if len(split):
            found = evaluate(lineup.network, stack, split.inputs, split.targets, task.losses, task.correct)
            yield {"split": name, "loss": float(found[0][0]), "accuracy": float(found[1][0])}
