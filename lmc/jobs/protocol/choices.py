"""Every settings group against its room's registry, before any job starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lmc import data, matching, merging, models, variants
from lmc.core import registry
from lmc.core.errors import LmcError, SettingError
from lmc.jobs.protocol.settings import Training

_ROOMS: dict[str, tuple[Mapping[str, Callable[..., Any]], tuple[str, ...]]] = {
    "model": (models.MODELS, models.GIVEN),
    "variant": (variants.VARIANTS, variants.GIVEN),
    "match": (matching.MATCHERS, matching.GIVEN),
    "merge": (merging.MERGERS, merging.GIVEN),
}


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
            if kind == "training" or (isinstance(group, Mapping) and "name" in group):
                bind(kind, group)
        except LmcError as error:
            found += [SettingError(line) for line in str(error).splitlines()]
    return found
