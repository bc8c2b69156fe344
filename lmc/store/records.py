"""What is stored beside results, typed: ``settings.yaml`` of every kind, and ``run.json``.

A file names its kind and format. Keys that this version does not know are kept and written back; files
of earlier formats are brought up to date while they are read (``lmc.store.migrations``).
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from lmc.core.errors import StoredFileError
from lmc.store import files
from lmc.store.migrations import FORMAT, migrated

SETTINGS, INFO = "settings.yaml", "run.json"
Group = dict[str, Any]
Some = TypeVar("Some", bound="Record")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every stored record has: the keys that this version does not know."""

    kind: ClassVar[str]
    unknown: dict[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Its keys and values in the file's order; optional ones at their defaults are left out."""
        known = {
            each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "unknown"
        }
        usual = {each.name: _default(each) for each in dataclasses.fields(self)}
        return {key: value for key, value in known.items() if value != usual[key]} | self.unknown


@dataclass(frozen=True, kw_only=True)
class Made(Record):
    """What the experiments of all kinds share."""

    experiment: str
    data: Group
    model: Group
    mask_seed: int
    data_digest: str
    constraint_digest: str


@dataclass(frozen=True, kw_only=True)
class Train(Made):
    """An experiment of trained runs."""

    kind: ClassVar[str] = "train"
    variant: Group
    training: Group
    init_seed: int | None
    order_seed: int | None
    start: str | None


@dataclass(frozen=True, kw_only=True)
class Import(Made):
    """An experiment of runs that another program trained: their files, and which weights in them."""

    kind: ClassVar[str] = "import"
    variant: Group
    imported: list[str]
    chosen: str | None = None


@dataclass(frozen=True, kw_only=True)
class Merge(Made):
    """A merged run; ``sources`` are ``EXPERIMENT/SEED/EPOCH``, in the order they were merged in."""

    kind: ClassVar[str] = "merge"
    sources: list[str]
    match: Group
    merge: Group
    restatistics: bool | None
    mixed: bool = False


@dataclass(frozen=True, kw_only=True)
class Job(Record):
    """What a command computed.

    Attributes:
        runs: ``EXPERIMENT/SEED/EPOCH`` in the order given; none where it computed on no stored run.
        pairs: of these, where the command is over pairs.
        settings: groups and plain settings, complete; what is needed to give the command again.
    """

    kind: ClassVar[str] = "job"
    command: str
    runs: list[str]
    pairs: list[list[str]] | None = None
    settings: Group
    provenance: Group = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reproduce(Record):
    """A named experiment as it was run; ``definition`` is what its file said, at its size."""

    kind: ClassVar[str] = "reproduce"
    experiment: str
    size: str
    definition: Group
    provenance: Group = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunInfo(Record):
    """``run.json``: one run's state, and what made it (``lmc.store.provenance``)."""

    kind: ClassVar[str] = "run"
    status: str
    process: Group = field(default_factory=dict)
    model: Group = field(default_factory=dict)
    seed: int | None = None
    init_seed: int | None = None
    order_seed: int | None = None
    constraint_digest: str = ""
    versions: Group = field(default_factory=dict)
    git_commit: str | None = None
    time: str | None = None
    seconds: float | None = None
    device: str | None = None
    diverged_at: int | None = None
    source: Group = field(default_factory=dict)


KINDS: dict[str, type[Record]] = {kind.kind: kind for kind in (Train, Import, Merge, Job, Reproduce, RunInfo)}


def read(path: Path) -> Record:
    """The record in a file.

    Raises:
        StoredFileError: it is damaged, lacks something, or was written by a later version.
    """
    content = files.read_json(path) if path.suffix == ".json" else files.read_yaml(path)
    version = content.get("format", 0)
    if not isinstance(version, int) or version < 0:
        raise StoredFileError(f"{path}: format={version}: expected a whole number")
    if version > FORMAT:
        raise StoredFileError(
            f"{path.parent}: written by a later lmc (format {version}, this one reads {FORMAT})", "update lmc"
        )
    content = migrated(content, version, path)
    kind = content.pop("kind", None)
    if kind not in KINDS:
        raise StoredFileError(f"{path}: kind={kind}: expected one of {', '.join(KINDS)}")
    return _checked(KINDS[kind], content, path)


def read_as(kind: type[Some], path: Path) -> Some:
    """The record in a file where only one of a kind (or its like) belongs.

    Raises:
        StoredFileError: as of ``read``, or it is of another kind.
    """
    record = read(path)
    if not isinstance(record, kind):
        raise StoredFileError(f"{path}: holds a record of kind {record.kind}, which does not belong there")
    return record


def write(path: Path, record: Record) -> None:
    """Write a record with its kind and format."""
    content = {"kind": record.kind, "format": FORMAT, **record.content()}
    if path.suffix == ".json":
        files.write_json(path, content)
    else:
        files.write_yaml(path, content)


def _checked(kind: type[Record], content: Mapping[str, Any], path: Path) -> Record:
    """A record of plain values; names all that is missing or of another type."""
    fields = {each.name: each for each in dataclasses.fields(kind) if each.name != "unknown"}
    lacking = [name for name, each in fields.items() if name not in content and _default(each) is MISSING]
    if lacking:
        raise StoredFileError(f"{path}: lacks {', '.join(lacking)}", f"a record of kind {kind.kind} has them")
    known = {name: content[name] for name in fields if name in content}
    wrong = [f"{name}={value!r}" for name, value in known.items() if not _fits(value, _hints(kind)[name])]
    if wrong:
        raise StoredFileError(f"{path}: {'; '.join(wrong)}: not of the type that {kind.kind} has there")
    return kind(**known, unknown={key: value for key, value in content.items() if key not in fields})


def _hints(kind: type[Record]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    options = typing.get_args(hint) if type(None) in typing.get_args(hint) else (hint,)
    plain = tuple(typing.get_origin(each) or each for each in options)
    return isinstance(value, plain) or (float in plain and isinstance(value, int))


def _default(each: dataclasses.Field[Any]) -> Any:
    return each.default_factory() if each.default_factory is not MISSING else each.default
