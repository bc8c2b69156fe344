"""Where a job's tables go: a name from its runs and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc.jobs.opening.runs import Opened
from lmc.jobs.opening.unnamed import REPEATED, unnamed
from lmc.jobs.protocol.choices import Choice, stored_choice
from lmc.jobs.protocol.commands.shared import Common, Stored
from lmc.jobs.protocol.composing import groups, outputs_folder
from lmc.store.identity import Chosen, Identity, identify, stem_of
from lmc.store.layout import Store
from lmc.store.provenance import provenance
from lmc.store.records import Job, Record

if TYPE_CHECKING:
    from lmc.jobs.opening.pairs import PairSet


def store_of(settings: Stored) -> Store:
    """The store that a command's settings name."""
    return Store(Path(outputs_folder(settings.outputs)))


def pair_folder(command: str, settings: Stored, sets: Sequence[PairSet]) -> tuple[Path, Job]:
    """The folder and the record of a job over pairs; it is named by the pairs, whatever named their runs."""
    runs = [opened for each in sets for opened in each.runs]
    pairs = [(each.runs[a], each.runs[b]) for each in sets for a, b in each.pairs]
    return job_folder(command, settings, runs, pairs)


def job_folder(
    command: str,
    settings: Stored,
    runs: Sequence[Opened],
    pairs: Sequence[tuple[Opened, Opened]] | None = None,
) -> tuple[Path, Job]:
    """``outputs/<command>/<experiments>-<settings that differ>-<hash>``, and the record to keep there.

    The same command over the same runs has the same folder, whatever references named them and whether
    a default was typed; every setting that changes a number is in the hash.

    Args:
        pairs: of the runs, where the command is over pairs; (a, b) and (b, a) are two.
    """
    left_out = unnamed(type(settings)).keys() - REPEATED
    given = {key: value for key, value in dataclasses.asdict(settings).items() if key not in left_out}
    choices = {
        key: Choice.bind(key, value)
        for key, value in given.items()
        if isinstance(value, Mapping) and "name" in value
    }
    record = Job(
        command=command,
        runs=list(dict.fromkeys(opened.name for opened in runs)),
        pairs=None if pairs is None else [[a.name, b.name] for a, b in pairs],
        settings={**{key: choice.group for key, choice in choices.items()}, **_without(given, choices)},
        provenance=provenance(),
    )
    usual = groups(type(settings))
    chosen = {key: choice.chosen(usual[key]) for key, choice in choices.items()}
    identity = job_identity(record, type(settings), chosen)

    def same(stored: Record) -> bool:
        return isinstance(stored, Job) and _identity_of(stored, record, type(settings), choices) == identity

    stems = list(dict.fromkeys(stem_of(opened.run.experiment.name) for opened in runs))
    stem = stems[0] if len(stems) == 1 else f"{stems[0]}+{len(stems) - 1}more"
    store = store_of(settings)
    return store.job(command, store.name(command, stem, identity, same)), record


def job_identity(record: Job, command: type[Common], chosen: Mapping[str, Chosen]) -> Identity:
    """What a job's record is of, given its choices as an identity needs them."""
    facts: dict[str, Any] = {"kind": record.kind, "command": record.command}
    if record.pairs is None:
        facts["runs"] = sorted(record.runs)
    else:
        facts["pairs"] = sorted(record.pairs)
    left_out = {*unnamed(command), *chosen}
    return identify(facts, chosen, _without(record.settings, left_out), dataclasses.asdict(command()))


def _identity_of(
    stored: Job, record: Job, command: type[Common], choices: Mapping[str, Choice]
) -> Identity | None:
    """The identity of a stored job; None if it is of another command or of other builders than ``record``."""
    if stored.command != record.command:
        return None
    usual, then = groups(command), {}
    for key, choice in choices.items():
        chosen = stored_choice(key, stored.settings.get(key, {}), choice, usual[key])
        if chosen is None:
            return None
        then[key] = chosen
    return job_identity(stored, command, then)


def _without(settings: Mapping[str, Any], keys: Any) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in keys}
