"""Settings of a command from what a person gives: nested, complete, checked, all faults together."""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lmc.core.binding import bind
from lmc.core.effect import without_effect
from lmc.core.errors import LmcError, SettingError, raise_together
from lmc.core.names import shortened
from lmc.jobs.protocol.commands.running import Train
from lmc.jobs.protocol.commands.shared import Common, Training

Settings = TypeVar("Settings", bound=Common)


def groups(command: type[Common]) -> dict[str, str | None]:
    """The command's groups and the default choice of each (None: open, nothing is chosen)."""
    made = dataclasses.asdict(command())
    return {key: value.get("name") for key, value in made.items() if isinstance(value, dict)}


def plain_defaults(command: type[Common]) -> dict[str, Any]:
    """Every key that is not a group, with its default; ``training`` with its own keys."""
    chosen = groups(command)
    made = dataclasses.asdict(command())
    values = {key: value for key, value in made.items() if key not in chosen}
    if command is Train:
        values["training"] = dataclasses.asdict(Training())
    return values


def compose(
    command: type[Settings],
    given: Mapping[str, Any],
    check: Callable[[Mapping[str, Any]], list[LmcError]] = lambda groups: [],
    same: Callable[[str, Any, Any], bool] = lambda key, one, other: bool(one == other),
) -> Settings:
    """Checked settings of a command from a nested mapping.

    A group may be its choice's name alone, or a mapping; a key may be dotted (``"variant.scale"``).

    Args:
        check: gives the faults of the groups, to be reported beside those of the command's own keys.
        same: whether two values of a key are one; of a group, defaults filled in.

    Raises:
        SettingError: all faults, together, those of settings without effect among them.
    """
    nested = unfold(given)
    chosen = groups(command)
    faults: list[LmcError] = []
    for key, default in chosen.items():
        if key not in nested:
            continue
        value = {"name": nested[key]} if isinstance(nested[key], str) and default else nested[key]
        if isinstance(value, Mapping):
            nested[key] = {**({"name": default} if default else {}), **value}
        else:
            faults.append(_no_group(key, value, default))
            del nested[key]
    bound: dict[str, Any] = {}
    try:
        bound = bind(command, nested)
    except LmcError as error:
        faults.extend(SettingError(line) for line in str(error).splitlines())
    faults += check({key: nested[key] for key in chosen if key in nested})
    raise_together(faults)
    made, usual = command(**bound), command()
    raise_together(
        without_effect(
            typing.get_type_hints(command, include_extras=True),
            vars(made),
            lambda key: not same(key, getattr(made, key), getattr(usual, key)),
        )
    )
    return made


def _no_group(key: str, value: Any, default: str | None) -> SettingError:
    shown = "null" if value is None else shortened(value)
    if default is None:
        return SettingError(f"{key}={shown}: {key} has keys, no value", f"write {key}.KEY=VALUE")
    return SettingError(f"{key}={shown}: expected the name of a choice", f"e.g. {key}={default}")


def seed_list(seeds: int | list[int], key: str = "seeds") -> list[int]:
    """A count n means 0 .. n-1; a list stands for itself.

    Raises:
        SettingError: no seed, a negative one, or one given twice.
    """
    listed = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not listed:
        raise SettingError(
            f"{key}={seeds}: no seed to run", f"a count of at least 1, or a list such as {key}=[0,1]"
        )
    twice = sorted({seed for seed in listed if listed.count(seed) > 1})
    if twice:
        raise SettingError(f"{key}={listed}: {', '.join(map(str, twice))} given twice", "name each seed once")
    if min(listed) < 0:
        raise SettingError(f"{key}={listed}: seeds are whole numbers from 0")
    return listed


def outputs_folder(outputs: str | None) -> str:
    """The outputs folder: the setting, else ``LMC_OUTPUTS``, else ``outputs`` in the working folder."""
    return outputs or os.environ.get("LMC_OUTPUTS") or "outputs"


def unfold(given: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested mappings; a choice given by name alone becomes its mapping."""
    nested: dict[str, Any] = {}
    for key, value in sorted(given.items(), key=lambda item: item[0].count(".")):
        head, *rest = str(key).split(".")
        if not rest:
            nested[head] = dict(value) if isinstance(value, Mapping) else value
            continue
        inside = nested.get(head, {})
        if not isinstance(inside, (str, Mapping)):
            shown = "null" if inside is None else shortened(inside)
            raise SettingError(f"{key}={shortened(value)}: beside {head}={shown}", "give one of them")
        nested[head] = {"name": inside} if isinstance(inside, str) else dict(inside)
        if (inner := ".".join(rest)) in nested[head]:
            message = f"{key}={shortened(value)} and {head}: {inner}={shortened(nested[head][inner])}"
            raise SettingError(f"{message}: given twice", "give one of them")
        nested[head][inner] = value
    return nested
