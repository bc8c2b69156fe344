"""``lmc merge``: one network out of several, itself a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lmc.core.errors import LmcError, RunReferenceError, raise_together
from lmc.core.tables import frame
from lmc.jobs.aligning.lineup import Lineup, Matcher
from lmc.jobs.listing import run_row
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.folders import store_of
from lmc.jobs.opening.runs import Opened, check_comparable, open_runs
from lmc.jobs.protocol.choices import Choice, stored_choice
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.settings import Merge
from lmc.jobs.train import summary
from lmc.merging import Material, Merged
from lmc.models.stack import State, batch_norms
from lmc.recording import evaluate, reestimate
from lmc.store import files, records
from lmc.store.experiments import Experiment, Run
from lmc.store.identity import Chosen, Identity, identify, stem_of
from lmc.store.provenance import provenance
from lmc.variants import Constraint

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Merge, talk: Talk) -> Outcome:
    """Match every run to the first, merge them, store the result.

    Tables ``history``, and ``projection`` where the merger keeps to the class of the runs.
    """
    matcher = Matcher.bind(settings.match)
    merger = Choice.bind("merge", settings.merge)
    runs = [
        opened
        for group in open_runs(settings.outputs, settings.references, settings.trust)
        for opened in group
    ]
    _check(runs, settings.mixed)
    experiment, record = merged_as(settings, runs, matcher.choice, merger)
    target = experiment.run(0)
    if target.status() == "done" and not settings.force:
        talk.say(f"{experiment.name} is already stored; force=true merges again")
        return _outcome(target)
    files.check_writable(experiment.path)
    device = use_device(settings.device, settings.threads)
    dataset = runs[0].data(settings.data)
    lineup = Lineup(
        runs, [(0, i) for i in range(1, len(runs))], dataset, runs[0].network(dataset), matcher, device, talk
    )
    permutations = matcher(lineup.evidence(range(len(runs))))
    states = [lineup.aligned(index, moves) for index, moves in enumerate(permutations)]
    lineup.network.to(device)
    again = bool(batch_norms(lineup.network)) if settings.restatistics is None else settings.restatistics
    common = runs[0].constraint if len({opened.constraint.digest() for opened in runs}) == 1 else None
    material = Material(states, lineup.network, dataset.train.inputs, common, again, device, talk.progress)
    merged = merger.builder(material, **merger.settings)
    for note in merged.notes:
        talk.say(note)
    if again:
        merged = _restated(merged, lineup)
    identity = lineup.groups.identity()
    moved = any(not torch.equal(found[name], identity[name]) for found in permutations for name in found)
    constraint = _class_of(runs[0].constraint, common is not None, moved, merged, talk)
    with target.locked(waiting=talk.say):
        _store(
            target,
            replace(record, constraint_digest=constraint.digest()),
            runs[0],
            lineup,
            merged,
            constraint,
        )
    return _outcome(target)


def _check(runs: Sequence[Opened], mixed: bool) -> None:
    if len(runs) < 2:
        raise RunReferenceError(
            f"{runs[0].run.reference}: one run where two are needed",
            "name two runs, or an experiment of several",
        )
    faults: list[LmcError] = []
    for other in runs[1:]:
        try:
            check_comparable(runs[0], other, mixed)
        except LmcError as error:
            faults.append(error)
    raise_together(faults)


def merged_as(
    settings: Merge, runs: Sequence[Opened], matcher: Choice, merger: Choice
) -> tuple[Experiment, records.Merge]:
    """The merged experiment: named after its parents, the method and the matcher."""
    first, store = runs[0].record, store_of(settings)
    record = records.Merge(
        experiment="",
        data=first.data,
        model=first.model,
        mask_seed=first.mask_seed,
        data_digest=first.data_digest,
        constraint_digest="",
        sources=[opened.name for opened in runs],
        match=matcher.group,
        merge=merger.group,
        restatistics=settings.restatistics,
        mixed=settings.mixed,
    )
    identity = merge_identity(record, matcher.chosen(), merger.chosen())

    def same(stored: records.Record) -> bool:
        if not isinstance(stored, records.Merge):
            return False
        match = stored_choice("match", stored.match, matcher)
        merge = stored_choice("merge", stored.merge, merger)
        if match is None or merge is None:
            return False
        return merge_identity(stored, match, merge).content == identity.content

    stem = f"{settings.name or stem_of(runs[0].run.experiment.name)}+{merger.name}-{matcher.name}"
    name = store.name("merge", stem, identity, same)
    return store.experiment("merge", name), replace(record, experiment=name)


def merge_identity(record: records.Merge, match: Chosen, merge: Chosen) -> Identity:
    """What a merge's record is of, given its choices as an identity needs them."""
    facts = {"kind": record.kind, "sources": record.sources}
    plain, usual = {"restatistics": record.restatistics}, {"restatistics": None}
    return identify(facts, {"merge": merge, "match": match}, plain, usual)


def _class_of(first: Constraint, shared: bool, moved: bool, merged: Merged, talk: Talk) -> Constraint:
    """The parents' D, f where the merged network is still in their class, else none (THEORY 1)."""
    state = merged.state
    if not first.tensors():
        return first
    mixed = all(torch.equal(state[f"{name}.mixing"], mixing) for name, mixing in first.mixings.items())
    kept = merged.outside is not None or not moved
    if shared and kept and mixed and not first.broken_by(state):
        return first
    talk.say("the merged network has left the class of its parents: it is stored as a plain one")
    return Constraint(mixings={name: state[f"{name}.mixing"] for name in first.mixings})


def _restated(merged: Merged, lineup: Lineup) -> Merged:
    """With BatchNorm statistics of its own."""

    def again(state: State) -> State:
        fresh = reestimate(lineup.network, _stack_of_one(state, lineup.device), lineup.dataset.train.inputs)
        return {name: tensor[0].cpu() for name, tensor in fresh.items()}

    outside = None if merged.outside is None else again(merged.outside)
    return Merged(again(merged.state), outside, merged.notes)


def _stack_of_one(state: State, device: torch.device) -> State:
    return {name: tensor.to(device)[None] for name, tensor in state.items()}


def _store(
    target: Run,
    record: records.Merge,
    first: Opened,
    lineup: Lineup,
    merged: Merged,
    constraint: Constraint,
) -> None:
    which = {"experiment": target.experiment.name, "seed": target.seed, "epoch": 0}
    history = [{**which, **row} for row in _losses(lineup, merged.state)]
    target.clear()
    target.experiment.write(record, constraint.tensors())
    files.write_tensors(target.checkpoint(0), merged.state)
    files.write_table(target.path / "history.parquet", frame("history", history))
    if merged.outside is not None:
        before = [{**which, "projected": False, **row} for row in _losses(lineup, merged.outside)]
        after = [{**row, "projected": True} for row in history]
        files.write_table(_price(target), frame("projection", [*before, *after]))
    target.write_info(
        status="done",
        model=first.info.model,
        seed=target.seed,
        constraint_digest=constraint.digest(),
        **provenance(),
    )


def _losses(lineup: Lineup, state: State) -> Iterator[dict[str, Any]]:
    """Loss and accuracy on every split that has samples."""
    task = lineup.dataset.task
    stack = _stack_of_one(state, lineup.device)
    for name, split in lineup.dataset.splits.items():
        if len(split):
            found = evaluate(lineup.network, stack, split.inputs, split.targets, task.losses, task.correct)
            yield {"split": name, "loss": float(found[0][0]), "accuracy": float(found[1][0])}


def _price(target: Run) -> Path:
    return target.experiment.path / "projection.parquet"


def _outcome(target: Run) -> Outcome:
    table = frame("run", [run_row(target)])
    tables, name = {"history": target.history(), "run": table}, target.experiment.name
    summaries = [summary(name, table)]
    if _price(target).is_file():
        tables["projection"] = files.read_table(_price(target))
        summaries.append(_comparison(tables["projection"]))
    return Outcome("history", tables, (name,), tuple(summaries))


def _comparison(table: pd.DataFrame) -> Summary:
    """What it costs to stay in the class: a row without, a row with."""
    import pandas as pd

    rows = []
    for projected, part in table.groupby("projected"):
        row = {"in the class of the runs": "yes" if projected else "no"}
        for split, loss, accuracy in zip(part["split"], part["loss"], part["accuracy"]):
            row[f"{split} loss"] = f"{loss:.4f}"
            if accuracy == accuracy:
                row[f"{split} accuracy"] = f"{accuracy:.2%}"
        rows.append(row)
    return Summary("the price of the projection", pd.DataFrame(rows))
