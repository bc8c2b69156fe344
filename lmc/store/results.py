"""The tables of jobs on disk, and collecting them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmc.core.errors import StoredFileError
from lmc.core.measurements import Source, joined
from lmc.core.schema import columns
from lmc.core.schema.settings import as_text
from lmc.store import files, records
from lmc.store.experiments import experiments
from lmc.store.records import Job, Record, Reproduce
from lmc.store.references import flatten

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

IN_RUNS = ("history",)


def write(
    folder: Path,
    record: Record,
    tables: Mapping[str, pd.DataFrame],
    tensors: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> None:
    """Store a job's record, tables and tensors under ``outputs/<command>/<name>``."""
    records.write(folder / records.SETTINGS, record)
    for kind, table in tables.items():
        files.write_table(folder / f"{kind}.parquet", table)
    for name, content in (tensors or {}).items():
        files.write_tensors(folder / f"{name}.safetensors", content)


def collect(
    outputs: Path,
    kind: str,
    names: Iterable[str] | None = None,
    skip: Callable[[StoredFileError], None] | None = None,
) -> pd.DataFrame:
    """All stored rows of one kind as one table, the oldest first, with the settings of their jobs.

    ``lmc.core.measurements`` says what the further columns are, and makes of it what means are taken of.

    Args:
        names: experiments that a row must speak of (both, for a pair); None keeps all.
        skip: called with the error of a file that is then left out; None raises it.

    Raises:
        StoredFileError: a table, or the record beside it, is damaged.
    """
    found = list(_read(_paths(outputs, kind), skip))
    table = joined(kind, zip((part for part, _ in found), _sources([record for _, record in found])))
    if names is not None:
        wanted = set(names)
        for column in ("experiment", "experiment_a", "experiment_b"):
            if column in columns(kind):
                table = table[table[column].isin(wanted)]
    return table


def _paths(outputs: Path, kind: str) -> list[Path]:
    """The files of a kind, the oldest first."""
    if kind in IN_RUNS:
        runs = [run for experiment in experiments(outputs) for run in experiment.runs()]
        return [path for run in runs if (path := run.path / f"{kind}.parquet").is_file()]
    return sorted(sorted(outputs.glob(f"*/*/{kind}.parquet")), key=lambda path: path.stat().st_mtime)


def _read(
    paths: Iterable[Path], skip: Callable[[StoredFileError], None] | None
) -> Iterator[tuple[pd.DataFrame, Record | None]]:
    """Each table with the record of the job that made it; runs and hand-made folders have none."""
    for path in paths:
        beside = path.parent / records.SETTINGS
        try:
            yield files.read_table(path), records.read(beside) if beside.is_file() else None
        except StoredFileError as error:
            if skip is None:
                raise
            skip(error)


def _sources(found: Sequence[Record | None]) -> Iterator[Source]:
    """What the records say of a measurement; of named experiments also in what they differ."""
    definitions = [flatten(record.definition) if isinstance(record, Reproduce) else {} for record in found]
    named = [record.experiment if isinstance(record, Reproduce) else "" for record in found]
    for place, record in enumerate(found):
        if isinstance(record, Job):
            yield Source(record.settings, record.pairs or ())
        elif isinstance(record, Reproduce):
            own = definitions[place]
            others = [each for each, name in zip(definitions, named, strict=True) if name == named[place]]
            differing = {key: own[key] for key in own if any(each.get(key) != own[key] for each in others)}
            text = " ".join(f"{key}={as_text(value)}" for key, value in differing.items())
            yield Source({**record.definition, "size": record.size, "definition": text or "-"})
        else:
            yield Source()
