"""``lmc import``: checkpoints that lmc did not train become the runs of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lmc.core.errors import LmcError, MismatchError, SettingError, raise_together
from lmc.core.tables import concatenate, frame
from lmc.jobs.listing import run_row
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.folders import store_of
from lmc.jobs.planning.plan import Plan, untrained
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.settings import Import
from lmc.jobs.train import summary
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
class _Source:
    """One file, and what it becomes."""

    checkpoint: Checkpoint
    fitted: Fitted

    def info(self) -> dict[str, Any]:
        """Where the weights came from, for ``run.json``."""
        return {
            "path": str(self.checkpoint.path.resolve()),
            "sha256": self.checkpoint.sha256,
            "weights": self.fitted.digest,
            "changes": list(self.fitted.notes),
        }


def run(settings: Import, talk: Talk) -> Outcome:
    """Check every file, measure its network on the data, and store it; tables ``run`` and ``history``.

    An experiment is its settings and the weights of all its files in their order, so another file makes
    another experiment, and the same files again, wherever they lie, are found stored.

    Raises:
        LmcError: all faults of settings and files, together; nothing is written.
    """
    plan, sources = _checked(settings)
    experiment, record = _identify(settings, plan, sources)
    for number, source in enumerate(sources):
        for note in source.fitted.notes:
            talk.say(note)
        same = [each for each in sources[:number] if each.fitted.digest == source.fitted.digest]
        if same:
            talk.say(f"warning: {source.checkpoint.path}: the same weights as {same[0].checkpoint.path}")
    runs = [experiment.run(seed) for seed in range(len(sources))]
    pending = [seed for seed, each in enumerate(runs) if settings.force or not _is_stored(each)]
    if settings.dry_run:
        return _dry_run(plan, experiment, sources, pending)
    if len(pending) < len(runs):
        skipped = "all" if not pending else str(len(runs) - len(pending))
        talk.say(f"{skipped} runs already stored; force=true imports them again")
    if pending:
        _say_namesakes(experiment, store_of(settings), talk)
        files.check_writable(experiment.path)
        device = use_device(settings.device, settings.threads)
        histories = _measure(plan, experiment, sources, pending, device)
        with ExitStack() as locks:
            for seed in pending:
                locks.enter_context(runs[seed].locked(waiting=talk.say))
            experiment.write(record, plan.constraint.tensors())
            for seed in pending:
                _store(runs[seed], plan, sources[seed], histories[seed])
    table = frame("run", map(run_row, runs))
    shown = summary(experiment.name, table)
    shown.table.insert(1, "file", [str(source.checkpoint.path) for source in sources])
    history = concatenate("history", [each.history() for each in runs])
    return Outcome("run", {"run": table, "history": history}, (experiment.name,), (shown,))


def _checked(settings: Import) -> tuple[Plan, list[_Source]]:
    """The files as weights of the network that the settings name."""
    if not settings.references:
        raise SettingError("no checkpoint is named", "lmc import a.safetensors b.pt model=... data=...")
    faults: list[LmcError] = []
    plan: Plan | None = None
    try:
        plan = untrained(settings, max(1, len(settings.references)))
    except LmcError as error:
        faults.append(error)
    expected = state_of(plan.build(0)) if plan else {}
    sources: list[_Source] = []
    paths = [Path(name).expanduser() for name in settings.references]
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            faults.append(SettingError(f"{path}: given twice", "name each file once"))
            continue
        try:
            checkpoint = checkpoints.read(path)
            if plan is not None:
                fitted = checkpoints.fit(checkpoint, expected, f"model={settings.model['name']}")
                _check_class(path, fitted, plan.constraint, settings)
                sources.append(_Source(checkpoint, fitted))
        except LmcError as error:
            faults.append(error)
    raise_together(faults)
    assert plan is not None
    return plan, sources


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


def _identify(settings: Import, plan: Plan, sources: Sequence[_Source]) -> tuple[Experiment, records.Import]:
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
    )
    return store_of(settings).experiment("train", name), record


def _is_stored(run: Run) -> bool:
    return run.status() == "done" and run.checkpoint(0).is_file()


def _say_namesakes(experiment: Experiment, store: Store, talk: Talk) -> None:
    stem = stem_of(experiment.name)
    others = [
        each.name
        for each in store.experiments()
        if stem_of(each.name) == stem and each.name != experiment.name
    ]
    if others:
        talk.say(f"{stem} now stands for {len(others) + 1} experiments; this one is {experiment.name}")


def _measure(
    plan: Plan, experiment: Experiment, sources: Sequence[_Source], seeds: Sequence[int], device: torch.device
) -> dict[int, pd.DataFrame]:
    """Losses of the networks on every split, as table ``history`` by seed."""
    network, task = plan.build(0).eval().to(device), plan.dataset.task
    stacked = stack_states([sources[seed].fitted.state for seed in seeds])
    stacked = {name: tensor.to(device) for name, tensor in stacked.items()}
    rows: dict[int, list[dict[str, Any]]] = {seed: [] for seed in seeds}
    for name, split in plan.dataset.splits.items():
        if not len(split):
            continue
        loss, accuracy = evaluate(network, stacked, split.inputs, split.targets, task.losses, task.correct)
        for index, seed in enumerate(seeds):
            rows[seed].append(
                {
                    "experiment": experiment.name,
                    "seed": seed,
                    "epoch": 0,
                    "split": name,
                    "loss": float(loss[index]),
                    "accuracy": float(accuracy[index]),
                }
            )
    return {seed: frame("history", found) for seed, found in rows.items()}


def _store(run: Run, plan: Plan, source: _Source, history: pd.DataFrame) -> None:
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


def _dry_run(
    plan: Plan, experiment: Experiment, sources: Sequence[_Source], pending: Sequence[int]
) -> Outcome:
    import pandas as pd

    size = sum(tensor.nbytes for tensor in sources[0].fitted.state.values()) * len(pending) / 1e6
    facts: Mapping[str, str] = {
        **{f"run {seed}": str(source.checkpoint.path) for seed, source in enumerate(sources)},
        "remaining runs": " ".join(map(str, pending)) or "none",
        "weights per network": str(sum(tensor.numel() for tensor in sources[0].fitted.state.values())),
        "disk MB": f"{size:.3g}",
    }
    rows = [{"key": key, "value": value} for key, value in facts.items()]
    table = frame("setting", [{"experiment": experiment.name, **row} for row in rows])
    shown = pd.DataFrame(rows).rename(columns={"key": "", "value": " "})
    notes = ("nothing was written",)
    return Outcome(
        "setting", {"setting": table}, (experiment.name,), (Summary(experiment.name, shown, notes),)
    )
