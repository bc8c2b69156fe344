"""What a training command comes to: checked settings, the experiment's name, and what remains to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lmc import models, variants
from lmc.core.errors import LmcError, MismatchError, SettingError, raise_together
from lmc.data import Dataset
from lmc.jobs.opening.data import load_data
from lmc.jobs.opening.folders import store_of
from lmc.jobs.planning.identity import stem, training_identity, training_record
from lmc.jobs.planning.start import Start
from lmc.jobs.protocol import choices
from lmc.jobs.protocol.commands.running import Train
from lmc.jobs.protocol.commands.shared import Training
from lmc.jobs.protocol.composing import seed_list
from lmc.models.norms import calibrated
from lmc.models.outputs import check_outputs
from lmc.models.stack import state_of
from lmc.recording.maps import listed
from lmc.store import records
from lmc.store.experiments import Experiment, Run
from lmc.store.identity import Identity
from lmc.variants import Constraint


@dataclass(frozen=True)
class Plan:
    """One experiment to train: everything checked, nothing written."""

    settings: Train
    training: Training
    dataset: Dataset
    model: tuple[str, dict[str, Any]]
    constraint: Constraint
    experiment: Experiment
    record: records.Train
    identity: Identity
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
    def unconstrained(self) -> str:
        """Which weights of linear maps the variant leaves free, and why; empty where it leaves none."""
        free = listed(self.constraint.free)
        return f"variant={self.settings.variant['name']} leaves free {free}" if free else ""

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
        "start": lambda: Start.of(settings),
    }.items():
        try:
            bound[key] = bind()
        except LmcError as error:
            faults.append(error)
    if "training" in bound:
        faults += _training_faults(Training(**bound["training"]))
    raise_together(faults)
    return _planned(settings, bound)


def _planned(settings: Train, bound: Mapping[str, Any]) -> Plan:
    """The plan of bound settings, whose weights to start from are tried."""
    training, start = Training(**bound["training"]), bound["start"]
    if start is not None:
        start.check(bound["seeds"])
    dataset = load_data({"name": settings.data["name"], **bound["data"]})
    model = models.build(settings.model["name"], bound["model"], dataset.given, 0)
    _check_outputs(settings, model, dataset)
    example = dataset.train.inputs[:2]
    constraint = variants.build(
        settings.variant["name"], bound["variant"], model, settings.mask_seed, example
    )
    identity = training_identity(settings, bound, training, dataset, model, constraint, start)
    name = identity.name(stem(settings), say=settings.name is None)
    plan = Plan(
        settings,
        training,
        dataset,
        (settings.model["name"], bound["model"]),
        constraint,
        store_of(settings).experiment("train", name),
        training_record(name, settings, bound, training, dataset, constraint),
        identity,
        bound["seeds"],
        start,
    )
    if start is not None:
        for seed in plan.seeds:
            plan.initial_state(seed)
    return plan


def _check_outputs(settings: Train, model: nn.Module, dataset: Dataset) -> None:
    """Refuse a network whose outputs do not fit the targets, for everything that trains or imports one."""
    few, targets = dataset.train.inputs[:3], dataset.train.targets[:3]
    classes = not targets.is_floating_point()
    shape = (*targets.shape, dataset.outputs) if classes else tuple(targets.shape)
    check_outputs(f"model={settings.model['name']}", model, few, shape, more=classes)


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
