"""``lmc merge``: one network out of several, itself a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmc.core.errors import LmcError, RunReferenceError, raise_together
from lmc.core.tables import frame
from lmc.data import Dataset
from lmc.jobs.alignment import Lineup, Matcher
from lmc.jobs.listing import run_row
from lmc.jobs.loading import use_device
from lmc.jobs.naming import Choice
from lmc.jobs.outcome import Outcome, Talk
from lmc.jobs.runs import Opened, check_comparable, open_runs
from lmc.jobs.settings import Merge, outputs_folder
from lmc.jobs.train import summary
from lmc.models.stack import batch_norms
from lmc.recording import evaluate, reestimate
from lmc.store import files
from lmc.store.experiments import Experiment, Run
from lmc.store.identity import experiment_name, fingerprint, stem_of
from lmc.variants import Constraint


def run(settings: Merge, talk: Talk) -> Outcome:
    """Match every run to the first, merge them, store the result; table ``history``."""
    matcher = Matcher.bind(settings.match)
    merger = Choice.bind("merge", settings.merge)
    runs = [
        opened
        for group in open_runs(settings.outputs, settings.references, settings.trust)
        for opened in group
    ]
    _check(runs, settings.mixed)
    experiment, record = _identify(settings, runs, matcher.choice, merger)
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
    state = merger.builder(states=states, **merger.settings)
    again = bool(batch_norms(lineup.network)) if settings.restatistics is None else settings.restatistics
    if again:
        fresh = reestimate(lineup.network, _stack_of_one(state, device), dataset.train.inputs)
        state = {name: tensor[0].cpu() for name, tensor in fresh.items()}
    constraint = _class_of(runs, lineup, permutations, state, talk)
    with target.locked(waiting=talk.say):
        _store(
            target, {**record, "constraint_digest": constraint.digest()}, runs[0], lineup, state, constraint
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


def _identify(
    settings: Merge, runs: Sequence[Opened], matcher: Choice, merger: Choice
) -> tuple[Experiment, dict[str, Any]]:
    """The merged experiment: named after its parents, the method and the matcher."""
    sources = ["/".join(map(str, opened.key)) for opened in runs]
    content = {
        "sources": sources,
        "match": {"name": matcher.name, **matcher.settings},
        "merge": {"name": merger.name, **merger.settings},
        "restatistics": settings.restatistics,
    }
    stems = list(dict.fromkeys(stem_of(opened.run.experiment.name) for opened in runs))
    stem = f"{settings.name or stems[0]}+{merger.name}-{matcher.name}"
    name = experiment_name(stem, {**merger.changed, **matcher.changed}, fingerprint(content))
    folder = Path(outputs_folder(settings.outputs)).resolve() / "merge" / name
    first = runs[0].record
    kept = {key: first[key] for key in ("data", "data_digest", "model", "mask_seed")}
    return Experiment(folder), {"experiment": name, **kept, **content}


def _class_of(
    runs: Sequence[Opened],
    lineup: Lineup,
    permutations: Sequence[dict[str, Tensor]],
    state: dict[str, Tensor],
    talk: Talk,
) -> Constraint:
    """The parents' D, f where the merged network is still in their class, else none (THEORY 1)."""
    common = runs[0].constraint
    identity = lineup.groups.identity()
    moved = any(not torch.equal(found[name], identity[name]) for found in permutations for name in found)
    same = len({opened.constraint.digest() for opened in runs}) == 1
    if not common.mixings and (not common.tensors() or (same and not moved and not common.broken_by(state))):
        return common
    if common.mixings and not moved and same:
        return common
    talk.say("the merged network has left the class of its parents: it is stored as a plain one")
    return Constraint(mixings={name: state[f"{name}.mixing"] for name in common.mixings})


def _stack_of_one(state: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device)[None] for name, tensor in state.items()}


def _store(
    target: Run,
    record: dict[str, Any],
    first: Opened,
    lineup: Lineup,
    state: dict[str, Tensor],
    constraint: Constraint,
) -> None:
    history = _history(target, lineup.dataset, lineup, state)
    target.clear()
    target.experiment.write(record, constraint.tensors())
    files.write_tensors(target.checkpoint(0), state)
    files.write_table(target.path / "history.parquet", history)
    target.write_info(
        status="done",
        process={"pid": os.getpid()},
        model=first.info["model"],
        seed=target.seed,
        constraint_digest=constraint.digest(),
        versions=first.info["versions"],
    )


def _history(target: Run, dataset: Dataset, lineup: Lineup, state: dict[str, Tensor]) -> Any:
    rows = []
    for name, split in dataset.splits.items():
        if not len(split):
            continue
        task = dataset.task
        loss, accuracy = evaluate(
            lineup.network.to(lineup.device),
            _stack_of_one(state, lineup.device),
            split.inputs,
            split.targets,
            task.losses,
            task.correct,
        )
        rows.append(
            {
                "experiment": target.experiment.name,
                "seed": target.seed,
                "epoch": 0,
                "split": name,
                "loss": float(loss[0]),
                "accuracy": float(accuracy[0]),
            }
        )
    return frame("history", rows)


def _outcome(target: Run) -> Outcome:
    table = frame("run", [run_row(target)])
    name = target.experiment.name
    return Outcome("history", {"history": target.history(), "run": table}, (name,), (summary(name, table),))
