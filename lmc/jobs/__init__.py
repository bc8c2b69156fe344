"""One file per command: settings in, tables out. ``run(command, settings, talk)`` finds the file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmc.jobs.protocol.outcome import Outcome
    from lmc.jobs.protocol.settings import Common
    from lmc.jobs.protocol.talk import Talk

MODULES = {"import": "import_"}
PUBLISHED = ("train", "predict")
"""Commands that take ``experiment=NAME/CASE``: the settings of a published case, beneath the given ones."""


def checked(command: str, given: Mapping[str, Any]) -> Common:
    """The settings of ``command``, with its groups checked against their rooms.

    Raises:
        SettingError: all faults, together.
    """
    from lmc.jobs.protocol import choices
    from lmc.jobs.protocol.settings import COMMANDS, compose, unfold

    if command in PUBLISHED and given.get("experiment"):
        from lmc.jobs.protocol.experiments import merged, published

        own = unfold({key: value for key, value in given.items() if key != "experiment"})
        base = published(str(given["experiment"]))
        chosen = {
            key: value if isinstance(value, Mapping) else {"name": value}
            for key, value in own.items()
            if isinstance(base.get(key), Mapping)
        }
        kept = {key: value for key, value in base.items() if "name" not in chosen.get(key, {})}
        given = merged(kept, {**own, **chosen})
    return compose(COMMANDS[command], given, choices.faults)


def run(command: str, given: Mapping[str, Any], talk: Talk | None = None) -> Outcome:
    """Check the settings of ``command`` and carry it out; nothing is written if a setting is wrong."""
    from lmc.jobs.protocol.talk import Silent

    settings = checked(command, given)
    job = import_module(f"lmc.jobs.{MODULES.get(command, command)}")
    outcome: Outcome = job.run(settings, talk or Silent())
    return outcome
