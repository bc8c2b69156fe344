"""Stored runs opened for work: their networks, weights, constraints and data, checked against one another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lmc import models
from lmc.core import registry
from lmc.core.errors import MismatchError, RunReferenceError, SettingError, StoredFileError
from lmc.core.linear_algebra import is_finite_like
from lmc.data import LOCATION, Dataset
from lmc.jobs.opening.data import reload_data
from lmc.jobs.protocol.composing import outputs_folder
from lmc.models.stack import state_of
from lmc.store.experiments import Run
from lmc.store.records import Import, Made, RunInfo, Train
from lmc.store.references import resolve
from lmc.variants import Constraint


@dataclass(frozen=True)
class Opened:
    """One run at a stored epoch."""

    run: Run
    epoch: int
    trust: bool = False

    @cached_property
    def record(self) -> Made:
        """Its experiment's settings."""
        return self.run.experiment.record()

    @cached_property
    def info(self) -> RunInfo:
        """Its ``run.json``."""
        return self.run.info()

    @cached_property
    def constraint(self) -> Constraint:
        """Its D, f and C; refuses constraints that are not those it was trained with."""
        tensors = self.run.experiment.constraints()
        constraint = Constraint.from_tensors(tensors)
        if constraint.digest() != self.info.constraint_digest:
            raise StoredFileError(
                f"{self.run.experiment.path / 'constraints.safetensors'}: not the D, f "
                f"that {self.run.reference} was trained with"
            )
        return constraint

    def data(self, moved: Mapping[str, Any]) -> Dataset:
        """The data it was trained on, perhaps at a new place.

        Raises:
            SettingError: a user's own code loads them, and that is not trusted.
        """
        self._check_trust(self.record.data["name"])
        return reload_data(self.record.data, moved, self.record.data_digest)

    def network(self, dataset: Dataset) -> nn.Module:
        """An untrained network of its architecture, in evaluation mode.

        Raises:
            SettingError: it is made by a user's own code, and that is not trusted.
        """
        name = self.info.model["name"]
        self._check_trust(name)
        made = models.build(name, self.info.model["keywords"], dataset.given, 0)
        return self.constraint.install(made).eval()

    def _check_trust(self, name: str) -> None:
        if registry.is_own_code(name) and not self.trust:
            raise SettingError(f"{self.run.reference} needs the code of {name}", "--trust imports it")

    def state(self, network: nn.Module) -> dict[str, Tensor]:
        """Its weights.

        Raises:
            StoredFileError: the file is damaged, or its tensors are not those of the network; all are named.
        """
        path = self.run.checkpoint(self.epoch)
        state, expected = self.run.state(self.epoch), state_of(network)
        faults = [f"lacks {name}" for name in expected if name not in state]
        faults += [f"has an unknown {name}" for name in state if name not in expected]
        faults += [
            f"{name} is {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in state and state[name].shape != tensor.shape
        ]
        if faults:
            raise StoredFileError(f"{path}: not the weights of this model: {'; '.join(faults)}")
        bad = [
            name
            for name, tensor in state.items()
            if tensor.is_floating_point() and not is_finite_like(tensor, expected[name])
        ]
        if bad:
            raise StoredFileError(f"{path}: {bad[0]} holds NaN or infinite values", "has the run diverged?")
        return {name: state[name] for name in expected}

    @cached_property
    def weights_digest(self) -> str:
        """What the stored weights hash to."""
        return hashlib.sha256(self.run.checkpoint(self.epoch).read_bytes()).hexdigest()

    @cached_property
    def losses(self) -> dict[str, float]:
        """Its mean loss at this epoch by split, as stored; without the splits that were not evaluated."""
        history = self.run.history()
        here = history[(history["epoch"] == self.epoch) & history["loss"].notna()]
        return dict(zip(here["split"], here["loss"].astype(float), strict=True))

    @property
    def key(self) -> tuple[str, int, int]:
        """Experiment, seed, epoch: what identifies it in a table."""
        return self.run.experiment.name, self.run.seed, self.epoch

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that say which run a row is about."""
        return dict(zip(("experiment", "seed", "epoch"), self.key, strict=True))

    @property
    def name(self) -> str:
        """``EXPERIMENT/SEED/EPOCH``, as records keep it."""
        return "/".join(map(str, self.key))


def pair_columns(a: Opened, b: Opened) -> dict[str, Any]:
    """The columns that say which pair a row is about."""
    row: dict[str, Any] = {}
    for side, opened in (("a", a), ("b", b)):
        row.update(zip((f"experiment_{side}", f"seed_{side}", f"epoch_{side}"), opened.key, strict=True))
    return row


def open_runs(
    outputs: str | None,
    references: Sequence[str],
    trust: bool = False,
    skip: Callable[[str], None] | None = None,
) -> list[list[Opened]]:
    """The runs of references, in sets within which pairs are formed.

    An experiment of several runs is a set of its own; runs named one by one, and experiments of a single
    run, form one set together.

    Args:
        skip: called with a text when a lone run that only a glob named is left out, as it has no partner.

    Raises:
        RunReferenceError: no reference is given, or one does not resolve.
    """
    if not references:
        raise RunReferenceError(
            "no run is named", "give EXPERIMENT, EXPERIMENT/SEED or a folder; lmc list shows them"
        )
    sets: list[list[Opened]] = []
    single: list[Opened] = []
    for reference in references:
        for selection in resolve(Path(outputs_folder(outputs)), reference):
            opened = [Opened(run, epoch, trust) for run, epoch in selection.epochs()]
            if selection.whole and len(opened) > 1:
                sets.append(opened)
            else:
                single.extend(opened)
    unique = list(dict.fromkeys(single))
    if skip and sets and len(unique) == 1 and any(set("*?[") & set(reference) for reference in references):
        skip(f"{unique[0].run.reference} is left out: it has no partner")
        return sets
    return [*sets, unique] if unique else sets


def pairs_of(runs: Sequence[Opened], how: str) -> list[tuple[Opened, Opened]]:
    """Pairs of a set: ``disjoint`` (0-1, 2-3), ``consecutive`` (0-1, 1-2) or ``all``.

    Raises:
        RunReferenceError: fewer than two runs.
    """
    if len(runs) < 2:
        raise RunReferenceError(
            f"{runs[0].run.reference}: only one run given; two are required",
            "name two runs, or an experiment of several",
        )
    if how == "all":
        return [(a, b) for i, a in enumerate(runs) for b in runs[i + 1 :]]
    step = 2 if how == "disjoint" else 1
    return [(runs[i], runs[i + 1]) for i in range(0, len(runs) - 1, step)]


def check_comparable(a: Opened, b: Opened, mixed: bool) -> None:
    """Refuse two runs that cannot be compared.

    Raises:
        MismatchError: other architectures, data, or (D, f); both runs are named.
    """
    both = f"{a.run.reference} and {b.run.reference}"
    if a.info.model != b.info.model:
        raise MismatchError(
            f"{both}: different models, {_short(a.info.model)} and {_short(b.info.model)}",
            "pairs need one architecture",
        )
    if a.record.data_digest != b.record.data_digest:
        names = f"{a.record.data['name']} and {b.record.data['name']}"
        raise MismatchError(f"{both}: trained on different data, {names}")
    if _without_place(a) != _without_place(b):
        raise MismatchError(f"{both}: the data are split or standardised differently")
    if not mixed and a.info.constraint_digest != b.info.constraint_digest:
        raise MismatchError(
            f"{both}: different D, f ({_variant(a)} and {_variant(b)})",
            "mixed=true compares them as plain networks",
        )


def _without_place(opened: Opened) -> dict[str, Any]:
    return {key: value for key, value in opened.record.data.items() if key not in LOCATION}


def _short(model: Mapping[str, Any]) -> str:
    return f"{model['name']}({', '.join(f'{key}={value}' for key, value in model['keywords'].items())})"


def _variant(opened: Opened) -> str:
    record = opened.record
    variant = record.variant if isinstance(record, (Train, Import)) else {"name": "plain"}
    keys = ", ".join(f"{key}={value}" for key, value in variant.items() if key != "name")
    return f"{variant['name']}({keys}) mask_seed={record.mask_seed}"


def open_network(reference: str, *, outputs: str | None = None, trust: bool = False) -> nn.Module:
    """The trained network of one run, in evaluation mode.

    Raises:
        RunReferenceError: the reference stands for several runs, or none.
    """
    found = [opened for runs in open_runs(outputs, [reference], trust) for opened in runs]
    if len(found) != 1:
        listed = ", ".join(opened.run.reference for opened in found)
        raise RunReferenceError(f"{reference}: stands for {len(found)} runs", f"name one of {listed}")
    network = found[0].network(found[0].data({}))
    network.load_state_dict(found[0].state(network))
    return network
