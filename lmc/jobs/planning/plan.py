"""What a training command comes to: checked settings, the experiment's name, and what remains to be done."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lmc import data, models, variants
from lmc.core.errors import LmcError, MismatchError, SettingError, raise_together
from lmc.data import Dataset
from lmc.jobs.opening.data import load_data
from lmc.jobs.protocol import choices
from lmc.jobs.protocol.settings import Train, Training, outputs_folder, seed_list
from lmc.models.norms import calibrated
from lmc.models.stack import state_of
from lmc.store.experiments import Experiment, Run, at_epoch
from lmc.store.identity import differing, experiment_name, fingerprint, stem_of
from lmc.store.references import resolve
from lmc.variants import Constraint

_NOT_IN_NUMBERS = ("checkpoints",)


@dataclass(frozen=True)
class Start:
    """Runs to start from: one for all seeds, or the run of the same seed."""

    reference: str
    runs: Mapping[int, tuple[Run, int]]
    single: tuple[Run, int] | None

    def state(self, seed: int) -> dict[str, Tensor]:
        """The weights that the run of ``seed`` starts from."""
        run, epoch = self.single or self.runs[seed]
        return run.state(epoch)

    def digest(self) -> str:
        """What the weights hash to; for an experiment its name's hash and epoch, as it has a run a seed."""
        if self.single is None:
            run, epoch = next(iter(self.runs.values()))
            return f"{run.experiment.name[-8:]}@{epoch}"
        run, epoch = self.single
        return hashlib.sha256(run.checkpoint(epoch).read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Plan:
    """One experiment to train: everything checked, nothing written."""

    settings: Train
    training: Training
    dataset: Dataset
    model: tuple[str, dict[str, Any]]
    constraint: Constraint
    experiment: Experiment
    record: dict[str, Any]
    seeds: list[int]
    start: Start | None

    def init_seed(self, seed: int) -> int:
        """The seed of a run's initialisation."""
        return seed if self.settings.init_seed is None else self.settings.init_seed

    def order_seed(self, seed: int) -> int:
        """The seed of a run's batches and random operations."""
        return seed if self.settings.order_seed is None else self.settings.order_seed

    def build(self, seed: int) -> nn.Module:
        """The network of a run at its initialisation theta, with sigma's activations in place."""
        name, keywords = self.model
        made = models.build(name, keywords, self.dataset.given, self.init_seed(seed))
        return self.constraint.install(made)

    def initial_state(self, seed: int) -> dict[str, Tensor]:
        """The effective weights that a run starts from.

        Raises:
            MismatchError: the weights to start from have other shapes, or break D and f.
        """
        model = self.build(seed)
        effective = self.constraint.effective(state_of(model))
        state = calibrated(model, effective, self.dataset.input_shape)
        if self.start is None:
            return state
        given = self.start.state(seed)
        wrong = [name for name in state if name not in given or given[name].shape != state[name].shape]
        if wrong:
            raise MismatchError(
                f"start={self.start.reference}: does not fit the model at {', '.join(wrong[:3])}"
            )
        given = {name: given[name] for name in state}
        broken = self.constraint.broken_by(given)
        if broken:
            raise MismatchError(
                f"start={self.start.reference}: its {broken[0]} is not in the class D, f of this variant",
                "start with variant=standard, or with the variant and mask_seed it was trained with",
            )
        return given

    @property
    def runs(self) -> list[Run]:
        """Where its runs are stored, or will be."""
        return [self.experiment.run(seed) for seed in self.seeds]

    @property
    def checkpoints(self) -> list[int]:
        """Epochs to store: the initialisation and the last, and those asked for."""
        last, asked = self.training.epochs, self.training.checkpoints
        wanted = range(0, last + 1, asked) if isinstance(asked, int) else asked or []
        return sorted({0, last, *wanted})

    def pending(self) -> list[int]:
        """Seeds whose runs are not finished with every epoch stored that is asked for."""
        return [seed for seed in self.seeds if not self.finished(self.experiment.run(seed))]

    def finished(self, run: Run) -> bool:
        """Whether nothing remains to be done for a run; one that diverged would diverge again."""
        status = run.status()
        return status == "diverged" or (status == "done" and set(self.checkpoints) <= set(run.epochs()))

    def references(self) -> tuple[str, ...]:
        """The experiment, if its runs are those asked for; else each run."""
        if {run.seed for run in self.experiment.runs()} <= set(self.seeds):
            return (self.experiment.name,)
        return tuple(self.experiment.run(seed).reference for seed in self.seeds)


def untrained(settings: Any, seeds: int | list[int]) -> Plan:
    """Data, network and (D, f) as a training of another command's settings would have them."""
    shared = ("outputs", "device", "threads", "data", "model", "variant", "mask_seed")
    return make_plan(Train(**{key: getattr(settings, key) for key in shared}, seeds=seeds))


def make_plan(settings: Train) -> Plan:
    """Check everything that can be wrong before the first epoch, and name the experiment.

    Raises:
        LmcError: all faults found, together.
    """
    faults: list[LmcError] = []
    bound: dict[str, Any] = {}
    for key, bind in {
        "data": lambda: choices.bind("data", settings.data),
        "model": lambda: choices.bind("model", settings.model),
        "variant": lambda: choices.bind("variant", settings.variant),
        "training": lambda: choices.bind("training", settings.training),
        "seeds": lambda: seed_list(settings.seeds),
        "start": lambda: _start(settings),
    }.items():
        try:
            bound[key] = bind()
        except LmcError as error:
            faults.append(error)
    if "training" in bound:
        faults += _training_faults(Training(**bound["training"]))
    raise_together(faults)
    training = Training(**bound["training"])
    start: Start | None = bound["start"]
    if start is not None and start.single is None:
        lacking = [seed for seed in bound["seeds"] if seed not in start.runs]
        if lacking:
            raise SettingError(
                f"start={start.reference}: has no run {lacking[0]} to start seed {lacking[0]} from"
            )
    dataset = load_data({"name": settings.data["name"], **bound["data"]})
    model = models.build(settings.model["name"], bound["model"], dataset.given, 0)
    example = dataset.train.inputs[:2]
    constraint = _constraint(settings, bound["variant"], model, example)
    record, name = _identify(settings, bound, training, dataset, model, constraint, start)
    folder = Path(outputs_folder(settings.outputs)).resolve() / "train" / name
    plan = Plan(
        settings,
        training,
        dataset,
        (settings.model["name"], bound["model"]),
        constraint,
        Experiment(folder),
        record,
        bound["seeds"],
        start,
    )
    if start is not None:
        for seed in plan.seeds:
            plan.initial_state(seed)
    return plan


def _constraint(settings: Train, bound: Mapping[str, Any], model: nn.Module, example: Tensor) -> Constraint:
    return variants.build(settings.variant["name"], bound, model, settings.mask_seed, example)


def _training_faults(training: Training) -> list[LmcError]:
    faults: list[LmcError] = []
    listed = training.checkpoints if isinstance(training.checkpoints, list) else []
    late = [epoch for epoch in listed if epoch > training.epochs]
    if late:
        faults.append(
            SettingError(
                f"training.checkpoints={listed}: epoch {late[0]} is after the last",
                f"training.epochs={training.epochs}",
            )
        )
    if training.warmup > training.epochs and training.schedule != "constant":
        faults.append(
            SettingError(f"training.warmup={training.warmup}: longer than training.epochs={training.epochs}")
        )
    return faults


def _start(settings: Train) -> Start | None:
    if settings.start is None:
        return None
    selections = resolve(Path(outputs_folder(settings.outputs)), settings.start)
    if len(selections) > 1:
        raise SettingError(f"start={settings.start}: stands for {len(selections)} experiments", "name one")
    (selection,) = selections
    epochs = {run.seed: (run, at_epoch(run, selection.epoch)) for run in selection.runs}
    single = None if selection.whole and len(epochs) > 1 else next(iter(epochs.values()))
    return Start(settings.start, epochs, single)


def _identify(
    settings: Train,
    bound: Mapping[str, Any],
    training: Training,
    dataset: Dataset,
    model: nn.Module,
    constraint: Constraint,
    start: Start | None,
) -> tuple[dict[str, Any], str]:
    """The record kept in ``settings.yaml`` and the experiment's name (DESIGN 5)."""
    names = {kind: getattr(settings, kind)["name"] for kind in ("data", "model", "variant")}
    changed_data = differing(
        bound["data"], {**choices.defaults("data", names["data"]), **dict.fromkeys(data.LOCATION)}
    )
    for key in data.LOCATION:
        changed_data.pop(key, None)
    changed_model = differing(bound["model"], choices.defaults("model", names["model"]))
    changed_variant = _changed_variant(settings, bound["variant"], model, dataset, constraint)
    recipe = {key: value for key, value in dataclasses.asdict(training).items() if key not in _NOT_IN_NUMBERS}
    changed_training = differing(recipe, dataclasses.asdict(Training()))
    seeds = differing(
        {"mask_seed": settings.mask_seed, "init_seed": settings.init_seed, "order_seed": settings.order_seed},
        {"mask_seed": 0, "init_seed": None, "order_seed": None},
    )
    content: dict[str, Any] = {
        "data": {"name": names["data"], **changed_data},
        "data_digest": dataset.digest,
        "model": {"name": names["model"], **changed_model},
        "variant": {"name": names["variant"], **changed_variant},
        "training": changed_training,
        **seeds,
    }
    shown = {**changed_model, **changed_variant, **changed_data, **changed_training, **seeds}
    if start is not None:
        content["start"] = start.digest()
        shown["from"] = stem_of(start.reference.partition("@")[0].rpartition("train/")[2]).replace("/", ".")
    digest = fingerprint(content)
    stem = settings.name or "-".join(name.rpartition(":")[2] for name in names.values())
    name = experiment_name(stem, {} if settings.name else shown, digest)
    record = {
        "experiment": name,
        "data": {"name": names["data"], **_absolute(bound["data"])},
        "model": {"name": names["model"], **bound["model"]},
        "variant": {"name": names["variant"], **bound["variant"]},
        "training": {
            key: value for key, value in dataclasses.asdict(training).items() if key not in _NOT_IN_NUMBERS
        },
        "mask_seed": settings.mask_seed,
        "init_seed": settings.init_seed,
        "order_seed": settings.order_seed,
        "start": settings.start,
        "data_digest": dataset.digest,
        "constraint_digest": constraint.digest(),
    }
    return record, name


def _absolute(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with folders made absolute, so that a stored run finds its data from anywhere."""
    return {
        key: str(Path(value).resolve()) if key in data.LOCATION and value and Path(value).exists() else value
        for key, value in settings.items()
    }


def _changed_variant(
    settings: Train, bound: Mapping[str, Any], model: nn.Module, dataset: Dataset, constraint: Constraint
) -> dict[str, Any]:
    """A variant's settings by what they mean: a share and the counts it stands for are one experiment."""
    usual = choices.defaults("variant", settings.variant["name"])
    if not constraint.meaning or set(usual) != set(bound):
        return differing(bound, usual)
    default = variants.build(
        settings.variant["name"], usual, model, settings.mask_seed, dataset.train.inputs[:2]
    )
    return differing(constraint.meaning, default.meaning)
