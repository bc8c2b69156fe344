"""Data sets in memory, split and standardised; some of them computed, of a chosen geometry.

    data = lmc.data.load("digits", val_fraction=0.2)
    data = lmc.data.load("gaussian_subspace", dimension=16, coherence=0.5)
    data.train.inputs, data.train.targets, data.task.losses(outputs, targets)

A set is one builder that returns ``Raw``; its keyword-only parameters are the set's own settings. A new
one is a file, a line in ``DATASETS`` and a YAML.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lmc.core import registry
from lmc.core.errors import DataError, SettingError
from lmc.data.dataset import Dataset, Graph, Raw, Split
from lmc.data.digits import digits
from lmc.data.graphs import arxiv, sbm
from lmc.data.hub import hub
from lmc.data.images import cifar10, cifar100, fashion_mnist, mnist
from lmc.data.splitting import split
from lmc.data.synthetic import gaussian_subspace, multilabel_subspace, parity_subspace
from lmc.data.tasks import TASKS, Task
from lmc.data.teacher import teacher

__all__ = [
    "DATASETS",
    "LOCATION",
    "TASKS",
    "Dataset",
    "Graph",
    "Raw",
    "Split",
    "Task",
    "bind",
    "defaults",
    "load",
    "parameters",
]

DATASETS: dict[str, Callable[..., Raw]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "hub": hub,
    "gaussian_subspace": gaussian_subspace,
    "parity_subspace": parity_subspace,
    "multilabel_subspace": multilabel_subspace,
    "teacher": teacher,
    "sbm": sbm,
    "arxiv": arxiv,
}

LOCATION = ("path",)
"""Settings that only give the data's location. A run's identity holds the data's digest instead."""

_COMMON = tuple(registry.parameters(split, given=("name", "raw")))
"""The settings of every set."""


def load(name: str = "digits", **settings: Any) -> Dataset:
    """Load, split and standardise a data set, and turn it to a coherence where one is given.

    Args:
        name: a key of ``DATASETS``, or ``package.module:function`` for the user's own builder.
        settings: the builder's own, and those of every set: ``split_seed``, ``val_fraction``,
            ``test_fraction``, ``standardise``, ``coherence`` and ``coherence_ratio`` (see
            ``lmc.data.splitting.split``).

    Raises:
        SettingError: unknown or bad settings, all together.
        DataError: the data are missing or not of the described form.
    """
    own = bind(name, settings)
    common = {key: own.pop(key) for key in _COMMON}
    builder = _builder(name)
    raw = builder(**registry.keywords(builder, own))
    if not isinstance(raw, Raw):
        raise DataError(f"data.name={name}: returned {type(raw).__name__}", "expected lmc.data.Raw")
    return split(name, raw, **common)


def bind(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of the set, coerced and complete, before anything is loaded.

    Raises:
        SettingError: every unknown key, bad value and missing value, reported together.
    """
    return registry.bind(_builder(name), settings, "data", shared=split)


def defaults(name: str) -> dict[str, Any]:
    """The settings that have a default."""
    return registry.defaults(_builder(name), shared=split)


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """The settings of the set with their types."""
    return registry.parameters(_builder(name), shared=split)


def _builder(name: str) -> Callable[..., Raw]:
    """The builder of a set, which declares none of the settings of every set."""
    builder = registry.find(DATASETS, name, "data")
    if not callable(builder):
        raise SettingError(
            f"data.name: {type(builder).__name__} is not a function", "name one that returns Raw"
        )
    if taken := [key for key in registry.parameters(builder) if key in _COMMON]:
        hint = "give them other names: they belong to every set"
        raise SettingError(f"data.name: the builder declares {', '.join(taken)}", hint)
    return builder
