"""The command that makes what is stored, from the settings kept beside it."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from lmc.core.errors import LmcError, StoredFileError
from lmc.core.registry import is_own_code
from lmc.jobs.protocol import choices, experiments
from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.commands.measuring import Reproduce
from lmc.jobs.protocol.commands.running import Train
from lmc.jobs.protocol.commands.shared import Training
from lmc.jobs.protocol.composing import groups
from lmc.store import records
from lmc.store.experiments import Experiment, Run
from lmc.store.identity import differing, stem_of
from lmc.store.layout import Store
from lmc.store.references import flatten

_GROUPS = ("data", "model", "variant", "match", "merge")


def of_experiment(experiment: Experiment, seeds: Sequence[int] | None = None) -> str:
    """``lmc train``, ``lmc import`` or ``lmc merge`` with every setting that is not its default."""
    record = experiment.record()
    if isinstance(record, records.Merge):
        return _of_merge(experiment, record)
    if isinstance(record, records.Train):
        words = [*_made("train", record), *_of_training(experiment, record, seeds)]
    elif isinstance(record, records.Import):
        words = [*_made("import", record), *_changed(record, ("mask_seed",))]
        words += [] if record.chosen is None else [_word("weights", record.chosen)]
    else:
        raise StoredFileError(f"{experiment.path}: no command makes what is of kind {record.kind}")
    parts = [group["name"].rpartition(":")[2] for group in (record.data, record.model, record.variant)]
    return _line([*words, *_name(experiment.name, "-".join(parts))])


def _of_merge(experiment: Experiment, record: records.Merge) -> str:
    words = ["merge", *_references(Store.around(experiment.path), record.sources)]
    words += _group("match", record.match, "merge") + _group("merge", record.merge, "merge")
    if record.restatistics is not None:
        words.append(_word("restatistics", record.restatistics))
    words += ["mixed=true"] if record.mixed else []
    return _line([*words, *_name(experiment.name, "+")])


def _made(command: str, record: records.Train | records.Import) -> list[str]:
    """The command with its files, and the groups that both have."""
    words = [command, *(record.imported if isinstance(record, records.Import) else ())]
    for group in ("data", "model", "variant"):
        words += _group(group, getattr(record, group), command)
    return words


def _of_training(experiment: Experiment, record: records.Train, seeds: Sequence[int] | None) -> list[str]:
    """Recipe, seeds of random operations, start and seeds."""
    words = _settings(differing(record.training, dataclasses.asdict(Training())), "training.")
    between = sorted({epoch for run in experiment.runs() for epoch in run.epochs()[1:-1]})
    if between:
        words.append(_word("training.checkpoints", between))
    words += _changed(record, ("mask_seed", "init_seed", "order_seed", "start"))
    listed = [run.seed for run in experiment.runs()] if seeds is None else list(seeds)
    count = listed == list(range(len(listed)))
    return [*words, _word("seeds", len(listed) if count else listed)]


def _changed(record: records.Made, keys: Iterable[str]) -> list[str]:
    usual = {key: getattr(Train(), key) for key in keys}
    return _settings(differing({key: getattr(record, key) for key in usual}, usual))


def of_job(folder: Path, record: records.Job) -> str:
    """The command over runs whose results a folder holds."""
    command = record.command
    words = [command, *_references(Store.around(folder), _in_order(folder, record), _is_mixed(record))]
    usual = dataclasses.asdict(COMMANDS[command].settings())
    for key, value in record.settings.items():
        if key in _GROUPS and isinstance(value, Mapping):
            words += _group(key, value, command)
        elif key in usual and value != usual[key]:
            words.append(_word(key, value))
    return _line(words)


def _in_order(folder: Path, record: records.Job) -> list[str]:
    """The runs with those of the experiment first that the folder is named after; old records sort them."""
    begins = [folder.name.startswith(stem_of(key.split("/")[0])) for key in record.runs]
    if begins[0]:
        return record.runs
    return sorted(record.runs, key=lambda key: not begins[record.runs.index(key)])


def _is_mixed(record: records.Job) -> bool:
    """Whether a pair is of two experiments."""
    return any(a.split("/")[0] != b.split("/")[0] for a, b in record.pairs or ())


def of_reproduce(record: records.Reproduce) -> tuple[str, bool]:
    """``lmc reproduce``, and whether it is exact: a definition may have changed since it ran."""
    name, size = record.experiment, record.size
    words = ["reproduce", name, f"size={size}"]
    try:
        now = experiments.resize(experiments.read(name), Reproduce(size=size))  # type: ignore[arg-type]
    except (LmcError, KeyError):
        return _line(words), False
    changed = differing(flatten(record.definition), flatten(now))
    runs = {key.removeprefix("runs."): value for key, value in changed.items() if key.startswith("runs.")}
    return _line([*words, *_settings(runs)]), len(runs) == len(changed)


def _references(store: Store, keys: Sequence[str], apart: bool = False) -> list[str]:
    """``EXPERIMENT/SEED/EPOCH`` as references: an experiment alone where all its runs are meant.

    Args:
        apart: an experiment of several runs would be a set of its own, and pairs are formed across.
    """
    runs = [(name, int(seed), int(epoch)) for name, seed, epoch in (key.rsplit("/", 2) for key in keys)]
    words = []
    for name, together in groupby(runs, key=itemgetter(0)):
        listed = [(seed, epoch) for _, seed, epoch in together]
        stored = store.runs_of(name)
        last = all(_last(stored.get(seed)) in (None, epoch) for seed, epoch in listed)
        seeds, epochs = [seed for seed, _ in listed], {epoch for _, epoch in listed}
        whole = seeds == sorted(seeds) and {*seeds} >= stored.keys() and not (apart and len(seeds) > 1)
        if len(epochs) == 1 and whole:
            words.append(name if last else f"{name}@{epochs.pop()}")
        else:
            words += [f"{name}/{seed}" + ("" if last else f"@{epoch}") for seed, epoch in listed]
    return words


def _last(run: Run | None) -> int | None:
    epochs = run.epochs() if run else []
    return epochs[-1] if epochs else None


def _group(group: str, settings: Mapping[str, Any], command: str) -> list[str]:
    """A choice and what it changes; of a user's own builder every key, as its defaults are its code."""
    name = str(settings["name"])
    keys = {key: value for key, value in settings.items() if key != "name"}
    if is_own_code(name):
        return [f"{group}.name={name}", *_settings(keys, f"{group}.")]
    try:
        changed = differing(keys, choices.defaults(group, name))
    except LmcError:
        changed = keys
    usual = groups(COMMANDS[command].settings)[group]
    words = [f"{group}={name}"] if name != usual else []
    return words + _settings({key: value for key, value in changed.items() if value is not None}, f"{group}.")


def _name(name: str, usual: str) -> list[str]:
    """``name=`` where the readable part was given rather than made."""
    stem = stem_of(name)
    made = usual in stem if usual == "+" else stem == usual or stem.startswith(f"{usual}-")
    return [] if made else [_word("name", stem)]


def _settings(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    return [_word(f"{prefix}{key}", value) for key, value in settings.items()]


def _word(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return f"{key}={text}"


def _line(words: Iterable[str]) -> str:
    return shlex.join(["lmc", *words])


def jobs_of(store: Store, names: Iterable[str] | None) -> list[tuple[Path, records.Job]]:
    """The folders of jobs over runs of the named experiments (None: of any), in the order they ended."""
    wanted = None if names is None else set(names)
    found = []
    for folder, record in store.jobs():
        if isinstance(record, records.Job) and record.command in COMMANDS and record.runs:
            speaks_of = {key.rsplit("/", 2)[0] for key in record.runs}
            if wanted is None or speaks_of & wanted:
                found.append((folder, record))
    return found
