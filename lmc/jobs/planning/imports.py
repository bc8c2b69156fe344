"""Checkpoints that lmc did not train, checked, measured and stored as the runs of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lmc.core.errors import LmcError, MismatchError, SettingError, raise_together
from lmc.core.schema import frame
from lmc.jobs.opening.data import tell
from lmc.jobs.opening.folders import store_of
from lmc.jobs.planning.plan import Plan, untrained
from lmc.jobs.protocol.commands.running import Import
from lmc.jobs.protocol.talk import Talk
from lmc.models.stack import stack_states, state_of
from lmc.recording import evaluate
from lmc.store import checkpoints, files, records
from lmc.store.checkpoints import Checkpoint, Fitted
from lmc.store.experiments import Experiment, Run
from lmc.store.identity import identify, stem_of
from lmc.store.layout import Store
from lmc.store.provenance import provenance
from lmc.variants import Constraint

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Source:
    """One file, and what it becomes."""

    checkpoint: Checkpoint
    fitted: Fitted

    def info(self) -> dict[str, Any]:
        """Where the weights came from, for ``run.json``."""
        return {
            "path": str(self.checkpoint.path.resolve()),
            "sha256": self.checkpoint.sha256,
            "weights": self.fitted.digest,
            "part": self.fitted.label,
            "changes": list(self.fitted.notes),
        }


@dataclass(frozen=True)
class ImportPlan:
    """Files as the runs of an experiment: everything checked, nothing written.

    An experiment is its settings and the weights of all its files in their order, so another file makes
    another experiment, and the same files again, wherever they lie, are found stored.
    """

    plan: Plan
    sources: Sequence[Source]
    experiment: Experiment
    record: records.Import

    @property
    def runs(self) -> list[Run]:
        """Where the files' runs are stored, or will be."""
        return [self.experiment.run(seed) for seed in range(len(self.sources))]

    def pending(self, force: bool) -> list[int]:
        """Which of them remain to be stored."""
        return [seed for seed, run in enumerate(self.runs) if force or not _is_stored(run)]

    def announce(self, talk: Talk) -> None:
        """Say what was decided about the data, what was changed on reading, and which files are the same."""
        tell(self.plan.dataset, talk)
        for number, source in enumerate(self.sources):
            for note in source.fitted.notes:
                talk.say(note)
            for doubt in source.fitted.doubts:
                talk.warn(doubt)
            same = [each for each in self.sources[:number] if each.fitted.digest == source.fitted.digest]
            if same:
                talk.warn(f"{source.checkpoint.path}: the same weights as {same[0].checkpoint.path}")

    def facts(self, pending: Sequence[int]) -> Mapping[str, str]:
        """What would be stored."""
        state = self.sources[0].fitted.state
        size = sum(tensor.nbytes for tensor in state.values()) * len(pending) / 1e6
        return {
            **{f"run {seed}": str(source.checkpoint.path) for seed, source in enumerate(self.sources)},
            "remaining runs": " ".join(map(str, pending)) or "none",
            "weights per network": str(sum(tensor.numel() for tensor in state.values())),
            "disk MB": f"{size:.3g}",
        }


def _is_stored(run: Run) -> bool:
    return run.status() == "done" and run.checkpoint(0).is_file()


def plan_import(settings: Import) -> ImportPlan:
    """The files as weights of the network that the settings name.

    Raises:
        LmcError: all faults of settings and files, together.
    """
    if not settings.references:
        raise SettingError("no checkpoint is named", "lmc import a.safetensors b.pt model=... data=...")
    faults: list[LmcError] = []
    plan: Plan | None = None
    try:
        plan = untrained(settings, max(1, len(settings.references)))
    except LmcError as error:
        faults.append(error)
    sources: list[Source] = []
    paths = [Path(name).expanduser() for name in settings.references]
    for number, path in enumerate(paths):
        try:
            if path.resolve() in [other.resolve() for other in paths[:number]]:
                raise SettingError(f"{path}: given twice", "name each file once")
            sources += _source(path, plan, settings)
        except LmcError as error:
            faults.append(error)
    raise_together(faults)
    assert plan is not None
    return ImportPlan(plan, sources, *_identify(settings, plan, sources))


def _source(path: Path, plan: Plan | None, settings: Import) -> list[Source]:
    """One file as weights of a plan's network; only read where there is no plan."""
    checkpoint = checkpoints.read(path)
    if plan is None:
        return []
    model = f"model={settings.model['name']}"
    fitted = checkpoints.fit(checkpoint, state_of(plan.build(0)), model, settings.weights)
    _check_class(path, fitted, plan.constraint, settings)
    return [Source(checkpoint, fitted)]


def _check_class(path: Path, fitted: Fitted, constraint: Constraint, settings: Import) -> None:
    """Refuse weights that D, f and C could not have led to."""
    state = fitted.state
    broken = constraint.broken_by(state)
    broken += [
        f"{name}.mixing"
        for name, mixing in constraint.mixings.items()
        if not torch.equal(state[f"{name}.mixing"], mixing)
    ]
    if broken:
        raise MismatchError(
            f"{path}: {', '.join(broken)}: not in the class D, f of variant={settings.variant['name']} "
            f"mask_seed={settings.mask_seed}",
            "give variant.* and mask_seed as it was trained, in full precision; variant=standard takes any",
        )


def _identify(settings: Import, plan: Plan, sources: Sequence[Source]) -> tuple[Experiment, records.Import]:
    """The experiment, named by its settings and weights, and the record kept in ``settings.yaml``."""
    weights = [source.fitted.digest for source in sources]
    identity = identify({"settings": plan.identity.digest, "weights": weights})
    name = identity.name(settings.name or f"{stem_of(plan.experiment.name)}+imported")
    record = records.Import(
        experiment=name,
        data=plan.record.data,
        model=plan.record.model,
        variant=plan.record.variant,
        mask_seed=plan.record.mask_seed,
        data_digest=plan.record.data_digest,
        constraint_digest=plan.record.constraint_digest,
        imported=[str(source.checkpoint.path.resolve()) for source in sources],
        chosen=settings.weights,
    )
    return store_of(settings).experiment("train", name), record


def say_namesakes(experiment: Experiment, store: Store, talk: Talk) -> None:
    """Say which other experiments have the same readable name."""
    stem = stem_of(experiment.name)
    others = [
        each.name
        for each in store.experiments()
        if stem_of(each.name) == stem and each.name != experiment.name
    ]
    if others:
        talk.say(f"{stem} now stands for {len(others) + 1} experiments; this one is {experiment.name}")


def measure(made: ImportPlan, seeds: Sequence[int], device: torch.device) -> dict[int, pd.DataFrame]:
    """Losses of the networks on every split, as table ``history`` by seed."""
    plan, task = made.plan, made.plan.dataset.task
    network = plan.build(0).eval().to(device)
    stacked = stack_states([made.sources[seed].fitted.state for seed in seeds])
    stacked = {name: tensor.to(device) for name, tensor in stacked.items()}
    rows: dict[int, list[dict[str, Any]]] = {seed: [] for seed in seeds}
    for name, split in plan.dataset.splits.items():
        if not len(split):
            continue
        loss, accuracy = evaluate(network, stacked, split.inputs, split.targets, task.losses, task.correct)
        for index, seed in enumerate(seeds):
            which = {"experiment": made.experiment.name, "seed": seed, "epoch": 0, "split": name}
            rows[seed].append({**which, "loss": float(loss[index]), "accuracy": float(accuracy[index])})
    return {seed: frame("history", found) for seed, found in rows.items()}


def store(run: Run, plan: Plan, source: Source, history: pd.DataFrame) -> None:
    """Write one imported run."""
    name, keywords = plan.model
    run.clear()
    files.write_tensors(run.checkpoint(0), source.fitted.state)
    files.write_table(run.path / "history.parquet", history)
    run.write_info(
        status="done",
        model={"name": name, "keywords": keywords},
        seed=run.seed,
        constraint_digest=plan.constraint.digest(),
        **provenance(),
        source=source.info(),
    )
