"""The keys of a command as the command line sees them: its own, its groups, and which of those are open."""

from __future__ import annotations

from typing import Any

from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.composing import groups, plain_defaults


def defaults_of(command: str) -> dict[str, Any]:
    """Every key that is not a group, with its default."""
    return plain_defaults(COMMANDS[command].settings)


def groups_of(command: str) -> dict[str, str | None]:
    """The groups with their default choice; None for an open one, which has no choices and takes any key."""
    plain = defaults_of(command)
    return {
        group: default for group, default in groups(COMMANDS[command].settings).items() if group not in plain
    }


def schema_of(command: str) -> dict[str, Any]:
    """What Hydra composes on: the command's keys, and an empty mapping for each open group."""
    chosen = groups_of(command)
    return {**defaults_of(command), **{group: {} for group, default in chosen.items() if default is None}}


def defaults_list(command: str) -> list[Any]:
    """Hydra's defaults list: the keys, each group's default choice, then how Hydra itself behaves."""
    choices = [{group: default} for group, default in groups_of(command).items() if default]
    return [f"schema/{command}@_here_", *choices, "_self_", "hydra_defaults"]
