"""What a reference stands for: ``EXPERIMENT[/SEED][@EPOCH]``, a glob, or a folder's path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lmc.core.errors import RunReferenceError
from lmc.core.registry import near_miss
from lmc.store.experiments import Experiment, Run, at_epoch, experiments
from lmc.store.identity import stem_of
from lmc.store.records import SETTINGS

_REFERENCE = re.compile(r"^(?P<experiment>.*?)(?:/(?P<seed>\d+))?(?:@(?P<epoch>\d+))?$")


@dataclass(frozen=True)
class Selection:
    """What one reference stands for: runs at an epoch (None: each run's last), whole experiments or not."""

    runs: tuple[Run, ...]
    epoch: int | None
    whole: bool

    def epochs(self) -> list[tuple[Run, int]]:
        """Each run with the stored epoch meant; raises RunReferenceError if one was never stored."""
        return [(run, at_epoch(run, self.epoch)) for run in self.runs]


def resolve(outputs: Path, reference: str) -> list[Selection]:
    """The runs a reference stands for; a glob gives one selection an experiment.

    Raises:
        RunReferenceError: nothing matches (with the near miss), or several do (with how they differ).
    """
    match = _REFERENCE.match(reference.rstrip("/"))
    assert match is not None
    name, seed, epoch = match["experiment"], match["seed"], match["epoch"]
    at = None if epoch is None else int(epoch)
    found = find_experiments(outputs, name, reference)
    selections = []
    for experiment in found:
        runs = experiment.runs()
        if seed is not None:
            runs = [run for run in runs if run.seed == int(seed)]
            if not runs:
                stored = ", ".join(str(run.seed) for run in experiment.runs()) or "none"
                raise RunReferenceError(
                    f"{reference}: {experiment.name} has no run {seed}", f"stored seeds: {stored}"
                )
        if not runs:
            raise RunReferenceError(f"{reference}: {experiment.name} has no finished or started run")
        selections.append(Selection(tuple(runs), at, seed is None))
    return selections


def find_experiments(outputs: Path, name: str, reference: str) -> list[Experiment]:
    """Experiments by path, glob, full name, readable part, or unique prefix, in this order.

    A prefix reaches a merged run only beyond its ``+``: the name of a removed experiment does not come to
    mean what was merged from it.
    """
    folder = Path(name).expanduser()
    if (folder / SETTINGS).is_file():
        return [Experiment(folder.resolve())]
    if folder.is_dir() and ("/" in name or not any(experiments(outputs))):
        raise RunReferenceError(
            f"{reference}: the folder holds no run", "a run's folder has a settings.yaml above it"
        )
    stored = experiments(outputs)
    if any(character in name for character in "*?["):
        matched = [
            item for item in stored if fnmatchcase(item.name, name) or fnmatchcase(stem_of(item.name), name)
        ]
        if not matched:
            raise RunReferenceError(f"{reference}: matches no stored experiment", _suggest(name, stored))
        return matched
    for test in (
        lambda item: item.name == name,
        lambda item: stem_of(item.name) == name,
        lambda item: item.name.startswith(name) and ("+" in name or "+" not in item.name),
    ):
        matched = [item for item in stored if test(item)] if name else []
        if len(matched) == 1:
            return matched
        if matched:
            listed = "; ".join(f"{item.name} ({difference})" for item, difference in _differences(matched))
            raise RunReferenceError(
                f"{reference}: matches {len(matched)} experiments", f"name one of: {listed}"
            )
    raise RunReferenceError(f"{reference}: no such run under {outputs}", _suggest(name, stored))


def _suggest(name: str, stored: list[Experiment]) -> str:
    if not stored:
        return "nothing is stored there yet; lmc train makes runs"
    close = near_miss(name, [*(stem_of(item.name) for item in stored), *(item.name for item in stored)])
    return f"did you mean {close}? lmc list shows all" if close else "lmc list shows what is stored"


def _differences(matched: list[Experiment]) -> list[tuple[Experiment, str]]:
    """How several experiments differ from one another, by their flat settings."""
    flat = [(item, flatten(item.settings())) for item in matched]
    derived = ("experiment", "constraint_digest", "sources")
    keys = dict.fromkeys(key for _, settings in flat for key in settings if key not in derived)
    values = {key: {str(found[key]) for _, found in flat if found.get(key) is not None} for key in keys}
    telling = [key for key in keys if len(values[key]) > 1]
    return [
        (item, ", ".join(f"{key}={settings[key]}" for key in telling if settings.get(key) is not None)[:120])
        for item, settings in flat
    ]


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
