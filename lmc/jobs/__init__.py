"""One file per command: settings in, tables out. ``run(command, settings, talk)`` finds the file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmc.jobs.protocol.commands.shared import Common
    from lmc.jobs.protocol.outcome import Outcome
    from lmc.jobs.protocol.talk import Talk


def checked(command: str, given: Mapping[str, Any]) -> Common:
    """The settings of ``command``, with its groups checked against their rooms.

    Raises:
        SettingError: all faults, together.
    """
    from lmc.jobs.protocol import choices
    from lmc.jobs.protocol.commands import COMMANDS
    from lmc.jobs.protocol.composing import compose
    from lmc.jobs.protocol.experiments import above_published

    entry = COMMANDS[command]
    if entry.published and given.get("experiment"):
        given = above_published(given, entry.settings)
    settings: Common = compose(entry.settings, given, choices.faults, choices.same)
    return settings


def run(command: str, given: Mapping[str, Any], talk: Talk | None = None) -> Outcome:
    """Check the settings of ``command`` and carry it out; nothing is written if a setting is wrong."""
    from lmc.jobs.protocol.commands import COMMANDS
    from lmc.jobs.protocol.talk import Silent

    settings = checked(command, given)
    job = import_module(f"lmc.jobs.{COMMANDS[command].module or command}")
    outcome: Outcome = job.run(settings, talk or Silent())
    return outcome
