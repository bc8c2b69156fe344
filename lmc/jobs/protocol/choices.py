"""Every settings group against its room's registry, before any job starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lmc import data, matching, merging, models, variants
from lmc.core import registry
from lmc.core.effect import without_effect
from lmc.core.errors import LmcError, SettingError
from lmc.jobs.protocol.commands.shared import Training
from lmc.store.identity import Chosen, differing

_ROOMS: dict[str, tuple[Mapping[str, Callable[..., Any]], tuple[str, ...]]] = {
    "model": (models.MODELS, models.GIVEN),
    "variant": (variants.VARIANTS, variants.GIVEN),
    "match": (matching.MATCHERS, matching.GIVEN),
    "merge": (merging.MERGERS, merging.GIVEN),
}


_KINDS = ("data", *_ROOMS)


def bind(kind: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """Complete, coerced settings of a group, without its name.

    Raises:
        SettingError: an unknown name, or all faults of its settings together.
    """
    settings = {key: value for key, value in group.items() if key != "name"}
    if kind == "data":
        return data.bind(group["name"], settings)
    if kind == "training":
        return registry.bind(Training, settings, "training")
    if kind == "model":
        return models.bind(group)
    builders, given = _ROOMS[kind]
    return registry.bind_choice(builders, group, kind, given)


def builder(kind: str, name: str) -> Callable[..., Any]:
    """The builder of a choice."""
    return registry.find(_ROOMS[kind][0], name, kind)


def defaults(kind: str, name: str) -> dict[str, Any]:
    """The settings of a choice that have a default."""
    if kind == "data":
        return data.defaults(name)
    return registry.defaults(builder(kind, name), _ROOMS[kind][1])


def faults(groups: Mapping[str, Any]) -> list[LmcError]:
    """What is wrong with the groups that name a choice; the others are checked where they are used."""
    found: list[LmcError] = []
    for kind, group in groups.items():
        try:
            if kind == "training" or (kind in _KINDS and "name" in group):
                found += _without_effect(kind, group, bind(kind, group))
        except LmcError as error:
            found += [SettingError(line) for line in str(error).splitlines()]
    return found


def parameters(kind: str, name: str) -> dict[str, inspect.Parameter]:
    """What can be set of a choice, and of a training, which has no choices."""
    if kind == "data":
        return data.parameters(name)
    return registry.parameters(Training if kind == "training" else builder(kind, name))


def _without_effect(kind: str, group: Mapping[str, Any], bound: Mapping[str, Any]) -> list[SettingError]:
    """The settings of a group that change nothing beside the others."""
    declared = {key: each for key, each in parameters(kind, group.get("name", "")).items() if key in bound}
    hints = {key: each.annotation for key, each in declared.items()}
    return without_effect(hints, bound, lambda key: bound[key] != declared[key].default, f"{kind}.")


def same(kind: str, one: Any, other: Any) -> bool:
    """Whether two values of a key are one: those of a group with their defaults filled in."""
    if kind not in _KINDS or not isinstance(one, Mapping) or one.keys() == other.keys():
        return bool(one == other)
    return one.get("name") == other.get("name") and bind(kind, one) == bind(kind, other)


@dataclass(frozen=True)
class Choice:
    """A builder chosen from a registry: its complete settings, and those not at their defaults."""

    name: str
    builder: Callable[..., Any]
    settings: dict[str, Any]
    changed: dict[str, Any]

    @classmethod
    def bind(cls, kind: str, group: Mapping[str, Any]) -> Choice:
        """From a settings group; raises SettingError with all faults."""
        settings, name = bind(kind, group), group["name"]
        return cls(name, builder(kind, name), settings, differing(settings, defaults(kind, name)))

    @property
    def label(self) -> str:
        """The name in tables, with the settings that differ."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.changed.items())])

    @property
    def group(self) -> dict[str, Any]:
        """As a record keeps it: name and complete settings."""
        return {"name": self.name, **self.settings}

    def chosen(self, usual: str | None = None) -> Chosen:
        """As an identity needs it; ``usual`` is the choice that a name need not say."""
        return Chosen(self.name, self.changed, usual)


def stored_choice(
    kind: str, group: Mapping[str, Any], now: Choice, usual: str | None = None
) -> Chosen | None:
    """A stored group as an identity needs it; None if it is another builder than ``now``.

    No other builder is looked up: a stored name may be a user's own code, which reading must not import.
    """
    if group.get("name") != now.name:
        return None
    settings = {key: value for key, value in group.items() if key != "name"}
    return Chosen(now.name, differing(settings, defaults(kind, now.name)), usual)
