"""Named experiments: what ``conf/experiment`` defines, at a size, case by case."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files as package_files
from itertools import product
from typing import Any

import yaml

from lmc.core.errors import SettingError
from lmc.core.names import shortened, unknown
from lmc.jobs.protocol.commands.measuring import Reproduce
from lmc.jobs.protocol.commands.shared import Common
from lmc.jobs.protocol.composing import unfold
from lmc.store.identity import readable


def names() -> list[str]:
    """The named experiments."""
    folder = package_files("lmc.conf") / "experiment"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def read(name: str) -> dict[str, Any]:
    """An experiment's definition; raises SettingError with the near miss."""
    if name not in names():
        raise unknown("experiment", name, names())
    text = (package_files("lmc.conf") / "experiment" / f"{name}.yaml").read_text()
    return dict(yaml.safe_load(text))


def resize(definition: dict[str, Any], settings: Reproduce) -> dict[str, Any]:
    """The definition at a size, with what the user changes in every case.

    A size may change ``runs``, and ``grid`` and ``repeat`` where the experiment has them.
    """
    sizes = definition.pop("sizes")
    changes = {key: getattr(settings, key) for key in ("data", "model", "training") if getattr(settings, key)}
    if settings.seeds is not None:
        changes["seeds"] = settings.seeds
    if settings.mask_seed is not None:
        changes["mask_seed"] = settings.mask_seed
    sized = merged(definition, sizes[settings.size])
    return {**sized, "runs": merged(sized["runs"], changes)}


def cases(definition: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The cases by name: those listed, times a ``grid`` of dotted keys, times ``repeat`` outer seeds.

    An outer seed is given to every key that ``repeat`` names, such as mask_seed.
    """
    listed = definition.get("cases") or {"": {}}
    grid = definition.get("grid") or {}
    repeat = definition.get("repeat") or {"count": 1, "keys": []}
    found = {}
    for (case, own), values, outer in product(
        listed.items(), product(*grid.values()), range(repeat["count"])
    ):
        point = dict(zip(grid, values, strict=True))
        label = readable({key.rpartition(".")[2]: value for key, value in point.items()})
        seeds = dict.fromkeys(repeat["keys"], outer)
        name = "-".join(part for part in (case, label, f"outer{outer}" if seeds else "") if part)
        found[name] = merged(own, unfold({**point, **seeds}))
    return found


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the nested keys of ``over`` in place of its own."""
    made = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = merged(made[key], value) if nested else value
    return made


def published(reference: Any, command: type[Common]) -> dict[str, Any]:
    """The settings of a command for one case of a named experiment at its full size.

    Args:
        reference: ``EXPERIMENT/CASE``, or the experiment alone where it has one case.

    Raises:
        SettingError: no such experiment or case; the cases there are.
    """
    if not isinstance(reference, str):
        raise SettingError(f"experiment={shortened(reference)}: expected EXPERIMENT/CASE")
    name, _, case = reference.partition("/")
    definition = resize(read(name), Reproduce(size="full"))
    there = cases(definition)
    if not case and len(there) == 1:
        (case,) = there
    if case not in there or reference.endswith("/"):
        listed = ", ".join(f"{name}/{each}" for each in there)
        raise SettingError(f"experiment={shortened(reference)}: no such case", f"there are: {listed}")
    made = merged(definition["runs"], there[case])
    known = {each.name for each in dataclasses.fields(command)} - {"start"}
    return {key: value for key, value in made.items() if key in known}


def above_published(given: Mapping[str, Any], command: type[Common]) -> dict[str, Any]:
    """The settings of the published case that ``experiment`` names, with the other given ones over them.

    Of the case only what the command has: a training has all of it, a prediction no recipe.
    """
    own = unfold({key: value for key, value in given.items() if key != "experiment"})
    base = published(given["experiment"], command)
    chosen = {
        key: value if isinstance(value, Mapping) else {"name": value}
        for key, value in own.items()
        if isinstance(base.get(key), Mapping)
    }
    kept = {key: value for key, value in base.items() if "name" not in chosen.get(key, {})}
    return merged(kept, {**own, **chosen})


def as_overrides(reference: str, given: Iterable[str], command: type[Common]) -> list[str]:
    """The same as ``key=value``, a group's choice first, without what ``given`` keys say otherwise."""
    keys = set(given)
    made = []
    for key, value in published(reference, command).items():
        if key in keys or (isinstance(value, Mapping) and f"{key}.name" in keys):
            continue
        if not isinstance(value, Mapping):
            made.append(f"{key}={_text(value)}")
            continue
        if "name" in value:
            made.append(f"{key}={value['name']}")
        made += [
            f"{key}.{inner}={_text(each)}"
            for inner, each in value.items()
            if inner != "name" and f"{key}.{inner}" not in keys
        ]
    return made


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
