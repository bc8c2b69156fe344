"""Choices of the groups that are registered and have no YAML: their defaults are those of their signature."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from lmc.core.names import registered
from lmc.jobs.protocol.registries import REGISTRIES


@cache
def without_yaml(group: str) -> tuple[str, ...]:
    """The registered names of a group that have no YAML among the shipped ones; none of a group without."""
    if group not in REGISTRIES:
        return ()
    shipped = files("lmc.conf") / group
    names = registered(*REGISTRIES[group])
    return tuple(name for name in names if not (shipped / f"{name}.yaml").is_file())
