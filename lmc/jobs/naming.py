"""Where a job's tables go: a name from its runs and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmc.jobs.runs import Opened
from lmc.jobs.settings import Common, outputs_folder
from lmc.store.identity import differing, experiment_name, fingerprint, stem_of

_ELSEWHERE = ("outputs", "device", "threads", "references", "trust", "data", "force", "name")


def job_folder(command: str, settings: Common, runs: Sequence[Opened]) -> tuple[Path, dict[str, Any]]:
    """``outputs/<command>/<experiments>-<settings that differ>-<hash>``, and the settings to keep there.

    The same command over the same runs has the same folder, whatever references named them.
    """
    given = {key: value for key, value in dataclasses.asdict(settings).items() if key not in _ELSEWHERE}
    usual = dataclasses.asdict(type(settings)())
    changed: dict[str, Any] = {}
    for key, value in differing(given, usual).items():
        if isinstance(value, Mapping):
            changed[value["name"]] = ""
            changed.update({k: v for k, v in value.items() if k != "name"})
        else:
            changed[key] = value
    keys = sorted("/".join(map(str, opened.key)) for opened in runs)
    stems = list(dict.fromkeys(stem_of(opened.run.experiment.name) for opened in runs))
    stem = stems[0] if len(stems) == 1 else f"{stems[0]}+{len(stems) - 1}more"
    digest = fingerprint({"runs": keys, **given})
    record = {"command": command, "runs": keys, **given}
    return Path(outputs_folder(settings.outputs)) / command / experiment_name(stem, changed, digest), record
