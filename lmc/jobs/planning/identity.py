"""What a training is: its identity, and the record kept of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from lmc import data, variants
from lmc.data import Dataset
from lmc.jobs.planning.start import Start
from lmc.jobs.protocol import choices
from lmc.jobs.protocol.commands.running import Train
from lmc.jobs.protocol.commands.shared import Training
from lmc.store import records
from lmc.store.identity import Chosen, Identity, differing, identify
from lmc.variants import Constraint

_GROUPS = ("model", "variant", "data")
_SEEDS = ("mask_seed", "init_seed", "order_seed")
_NOT_IN_NUMBERS = ("checkpoints",)


def training_identity(
    settings: Train,
    bound: Mapping[str, Any],
    training: Training,
    dataset: Dataset,
    model: nn.Module,
    constraint: Constraint,
    start: Start | None,
) -> Identity:
    """Builders with what differs from their defaults, recipe, seeds, and digests of data and start.

    Args:
        bound: the complete settings of each group.
    """
    changed = {
        "model": differing(bound["model"], choices.defaults("model", settings.model["name"])),
        "variant": _changed_variant(settings, bound["variant"], model, dataset, constraint),
        "data": differing(
            {key: value for key, value in bound["data"].items() if key not in data.LOCATION},
            choices.defaults("data", settings.data["name"]),
        ),
    }
    chosen = {group: Chosen(getattr(settings, group)["name"], changed[group]) for group in _GROUPS}
    chosen["training"] = Chosen(None, differing(recipe(training), recipe(Training())))
    facts = {"data_digest": dataset.digest, **({} if start is None else {"start": start.digest()})}
    seeds = {key: getattr(settings, key) for key in _SEEDS}
    identity = identify(facts, chosen, seeds, dataclasses.asdict(Train()))
    said = {} if start is None else {"from": start.stem}
    return Identity(identity.content, {**identity.shown, **said})


def stem(settings: Train) -> str:
    """The readable part of the name before what differs: data, model and variant, or ``name``."""
    parts = (settings.data, settings.model, settings.variant)
    return settings.name or "-".join(group["name"].rpartition(":")[2] for group in parts)


def recipe(training: Training) -> dict[str, Any]:
    """The keys of a recipe that change a number."""
    return {key: value for key, value in dataclasses.asdict(training).items() if key not in _NOT_IN_NUMBERS}


def training_record(
    name: str,
    settings: Train,
    bound: Mapping[str, Any],
    training: Training,
    dataset: Dataset,
    constraint: Constraint,
) -> records.Train:
    """What ``settings.yaml`` keeps of an experiment."""
    return records.Train(
        experiment=name,
        data={"name": settings.data["name"], **_absolute(bound["data"])},
        model={"name": settings.model["name"], **bound["model"]},
        variant={"name": settings.variant["name"], **bound["variant"]},
        training=recipe(training),
        mask_seed=settings.mask_seed,
        init_seed=settings.init_seed,
        order_seed=settings.order_seed,
        start=settings.start,
        data_digest=dataset.digest,
        constraint_digest=constraint.digest(),
    )


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
