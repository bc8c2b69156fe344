"""The tables of jobs on disk, and collecting them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lmc.core.errors import StoredFileError
from lmc.core.schema import TABLES, columns, concatenate
from lmc.store import files, records
from lmc.store.experiments import experiments
from lmc.store.records import Record

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
    latest: bool = False,
    skip: Callable[[StoredFileError], None] | None = None,
) -> pd.DataFrame:
    """All stored rows of one kind as one table, each fact once.

    Args:
        names: experiments that a row must speak of (both, for a pair); None keeps all.
        latest: where several jobs measured the same of the same runs (a path with other points), keep what
            the last of them found, so that a mean counts no pair twice.
        skip: called with the error of a file that is then left out; None raises it.

    Raises:
        StoredFileError: a table is damaged.
    """
    if kind in IN_RUNS:
        paths = [
            run.path / f"{kind}.parquet"
            for experiment in experiments(outputs)
            for run in experiment.runs()
            if (run.path / f"{kind}.parquet").is_file()
        ]
    else:
        paths = sorted(outputs.glob(f"*/*/{kind}.parquet"))
    if latest:
        paths.sort(key=lambda path: path.stat().st_mtime)
    tables = _read(paths, skip)
    table = _latest(kind, tables) if latest else concatenate(kind, tables)
    if names is not None:
        wanted = set(names)
        for column in ("experiment", "experiment_a", "experiment_b"):
            if column in columns(kind):
                table = table[table[column].isin(wanted)]
    return table.drop_duplicates(ignore_index=True)


def _read(paths: Iterable[Path], skip: Callable[[StoredFileError], None] | None) -> Iterator[pd.DataFrame]:
    for path in paths:
        try:
            yield files.read_table(path)
        except StoredFileError as error:
            if skip is None:
                raise
            skip(error)


def _latest(kind: str, tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Of rows about the same runs and settings, those of the last table that has any."""
    import pandas as pd

    listed = [table for table in tables if len(table)]
    whole = concatenate(kind, listed)
    same = [column.name for column in TABLES[kind] if column.role in ("key", "block", "run", "quantity")]
    if len(listed) < 2 or not {"experiment_a", "seed"} & set(same):
        return whole
    source = pd.Series([number for number, table in enumerate(listed) for _ in range(len(table))])
    last = source.groupby([whole[name] for name in same], dropna=False).transform("max")
    return whole[source == last]
