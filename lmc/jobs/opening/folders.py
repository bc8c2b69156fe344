"""Where a job's tables go: a name from its runs and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmc.jobs.opening.runs import Opened
from lmc.jobs.protocol import choices
from lmc.jobs.protocol.settings import Common, outputs_folder
from lmc.store.identity import differing, experiment_name, fingerprint, stem_of

_ELSEWHERE = ("outputs", "device", "threads", "references", "trust", "data", "force", "name", "memory")


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
        settings, name = choices.bind(kind, group), group["name"]
        return cls(
            name, choices.builder(kind, name), settings, differing(settings, choices.defaults(kind, name))
        )

    @property
    def label(self) -> str:
        """The name in tables, with the settings that differ."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.changed.items())])


def job_folder(
    command: str, settings: Common, runs: Sequence[Opened], **chosen: Choice
) -> tuple[Path, dict[str, Any]]:
    """``outputs/<command>/<experiments>-<settings that differ>-<hash>``, and the settings to keep there.

    The same command over the same runs has the same folder, whatever references named them and whether
    a default was typed.

    Args:
        chosen: the bound choice of each settings group.
    """
    usual = dataclasses.asdict(type(settings)())
    if not chosen:
        there = dataclasses.asdict(settings).items()
        chosen = {
            key: Choice.bind(key, value)
            for key, value in there
            if isinstance(value, dict) and "name" in value
        }
    given = {key: value for key, value in dataclasses.asdict(settings).items() if key not in _ELSEWHERE}
    plain = {key: value for key, value in given.items() if key not in chosen}
    changed: dict[str, Any] = {}
    for key, choice in chosen.items():
        if choice.name != usual[key]["name"]:
            changed[choice.name] = ""
        changed.update(choice.changed)
    changed.update(differing(plain, usual))
    groups = {key: {"name": choice.name, **choice.settings} for key, choice in chosen.items()}
    keys = sorted("/".join(map(str, opened.key)) for opened in runs)
    stems = list(dict.fromkeys(stem_of(opened.run.experiment.name) for opened in runs))
    stem = stems[0] if len(stems) == 1 else f"{stems[0]}+{len(stems) - 1}more"
    record = {"command": command, "runs": keys, **groups, **plain}
    name = experiment_name(stem, changed, fingerprint(record))
    return Path(outputs_folder(settings.outputs)) / command / name, record
