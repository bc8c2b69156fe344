"""Where tables come from: a folder of files of parquet or delimited text, or the Hugging Face Hub."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc.core.errors import DataError
from lmc.data import delimited

if TYPE_CHECKING:
    import pyarrow as pa

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_SPLITS = {"train": ("train",), "test": ("test",), "held out": ("validation", "valid", "val", "dev")}
_PROBE_SECONDS = 10.0
PARQUET = ("parquet",)
TABLES = (*PARQUET, *delimited.SUFFIXES)
Say = Callable[[str], None]


def _silent(text: str) -> None: ...


@dataclass(frozen=True)
class Source:
    """Tables that are found but not yet read.

    Attributes:
        place: the folder or name, for messages.
        identity: changes when the tables do; JSON can hold it.
        tables: gives the table of each split, ``train`` and, where there is one, ``test``; it is told
            a function that hears what was found out about a file.
    """

    place: str
    identity: Any
    tables: Callable[[Say], dict[str, pa.Table]]

    def read(self, say: Say = _silent) -> dict[str, pa.Table]:
        """The table of each split."""
        return self.tables(say)


def find(path: str, formats: tuple[str, ...] = PARQUET) -> Source:
    """The tables at ``path``: a folder, a file, or else a name on the Hub.

    Files whose name or folder begins with ``train`` or ``test`` are those splits; others count as
    train where no file is named so. Validation files are left alone: the val split comes out of train.

    Raises:
        DataError: there is no such folder or name, or no file of the formats in it.
    """
    place = Path(path).expanduser()
    if place.exists():
        return in_folder(path, formats)
    if _HUB_NAME.fullmatch(path) and not path.endswith(formats):
        return on_hub(path, f"data.path={path}: no such folder here, and the Hub")
    raise _no_folder(path)


def in_folder(path: str, formats: tuple[str, ...] = PARQUET) -> Source:
    """The tables in a folder and those below it, or in one file."""
    place = Path(path).expanduser()
    if not place.exists():
        raise _no_folder(path)
    files = [place] if place.is_file() else _files(place, formats)
    if not files:
        wanted = " or ".join(("parquet", "CSV")[: len(formats)])
        raise DataError(f"data.path={path}: no {wanted} file there", f"give a folder of {wanted} files")
    splits = _by_split(files, place)
    if not splits.get("train"):
        names = ", ".join(file.name for file in files[:4])
        raise DataError(f"data.path={path}: no train files among {names}", "name them train-* and test-*")
    owners = sorted({_owner(file, place) for found in splits.values() for file in found})
    if len(owners) > 1:
        raise DataError(f"data.path={path}: holds several sets, {', '.join(owners)}", "give one's folder")
    stamps = {split: [_stamp(file) for file in found] for split, found in splits.items()}
    identity = [str(place.resolve()), stamps]
    return Source(path, identity, lambda say: {split: _read(found, say) for split, found in splits.items()})


def on_hub(name: str, what: str = "") -> Source:
    """The tables of a data set on the Hub, downloaded or from Hugging Face's own cache.

    ``what`` begins the message when that fails.
    """
    import datasets
    from huggingface_hub.utils import disable_progress_bars

    datasets.disable_progress_bars()
    disable_progress_bars()
    what = what or f"{name}: the Hub"
    online, reason = _reachable(name)
    try:
        with _offline(not online):
            found = datasets.load_dataset(name)
    except Exception as error:
        if not online:
            message = f"{what} cannot be reached ({reason}), nor is the set in its cache"
            hint = f"download https://huggingface.co/datasets/{name} elsewhere and give data.path=FOLDER"
            raise DataError(message, hint) from error
        first = str(error).strip().split("\n")[0]
        raise DataError(
            f"{what} does not give it: {first}", "download it and give data.path=FOLDER"
        ) from error
    if "train" not in found:
        raise DataError(f"{name}: no train split on the Hub, only {', '.join(found)}")
    splits = {split: found[split] for split in ("train", "test") if split in found}
    identity = [name, {split: part._fingerprint for split, part in splits.items()}]
    return Source(name, identity, lambda say: {split: part.data.table for split, part in splits.items()})


def _reachable(name: str) -> tuple[bool, str]:
    """Whether the Hub answers: one short request, as ``load_dataset`` retries for 23 s before it fails."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    try:
        huggingface_hub.HfApi().dataset_info(name, timeout=_PROBE_SECONDS)
    except HfHubHTTPError:
        return True, ""
    except Exception as error:
        return False, type(error).__name__
    return True, ""


@contextlib.contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """With ``wanted``, let ``load_dataset`` use its cache at once, without the network."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _no_folder(path: str) -> DataError:
    return DataError(f"data.path={path}: no such folder, seen from {Path.cwd()}")


def _by_split(files: list[Path], place: Path) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(_split_of(file, place), []).append(file)
    splits.setdefault("train", splits.get("unnamed", []))
    return {split: splits[split] for split in ("train", "test") if split in splits}


def _split_of(file: Path, place: Path) -> str:
    if place.is_file():
        return "train"
    for part in (file.name, *reversed(file.parent.relative_to(place).parts)):
        for split, words in _SPLITS.items():
            if re.match(rf"({'|'.join(words)})(?![a-z])", part.lower()):
                return split
    return "unnamed"


def _owner(file: Path, place: Path) -> str:
    """The folder that a file belongs to; a folder named after a split does not count."""
    if place.is_file():
        return "."
    parts = file.parent.relative_to(place).parts
    words = {word for group in _SPLITS.values() for word in group}
    return "/".join(part for part in parts if part.lower() not in words) or "."


def _stamp(file: Path) -> list[Any]:
    status = file.stat()
    return [file.name, status.st_size, status.st_mtime_ns]


def _files(place: Path, formats: tuple[str, ...]) -> list[Path]:
    """The files of tables in a folder and below: parquet where there is any, else text.

    Raises:
        DataError: one format has a split that the other lacks, so that leaving one out would lose it.
    """
    found = [file for file in sorted(place.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    ours = [file for file in found if file.name.endswith(tuple(f".{suffix}" for suffix in formats))]
    parquet = [file for file in ours if file.suffix == ".parquet"]
    others = [file for file in ours if file.suffix != ".parquet"]
    if not parquet:
        return others
    known = {_split_of(file, place) for file in parquet}
    lost = [file.name for file in others if _split_of(file, place) not in {*known, "unnamed"}]
    if lost:
        raise DataError(f"data.path={place}: {lost[0]} lies beside {parquet[0].name}", "give all as parquet")
    return parquet


def _read(files: list[Path], say: Say) -> pa.Table:
    import pyarrow as pa

    tables = []
    for file in files:
        try:
            tables.append(_read_one(file, say))
        except (pa.ArrowException, OSError) as error:
            first = str(error).strip().split("\n")[0]
            raise DataError(f"data.path: {file} cannot be read: {first}") from error
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"data.path: {files[0].parent}: its files have different columns: {error}") from error


def _read_one(file: Path, say: Say) -> pa.Table:
    import pyarrow.parquet

    with file.open("rb") as opened:
        begin = opened.read(4)
    if file.suffix.startswith(".json"):
        raise DataError(f"data.path: {file} is JSON, which is not read", "write it as parquet or CSV")
    if begin == b"PAR1" or file.suffix == ".parquet":
        return pyarrow.parquet.ParquetFile(file).read()
    return delimited.read(file, say)
