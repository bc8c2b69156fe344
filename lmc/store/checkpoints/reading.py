"""One checkpoint file, or the shards that an index names, as tensors by their whole names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc.core.errors import StoredFileError
from lmc.store import files
from lmc.store.checkpoints.pickles import TORCHS, Inert, unpickle, with_code

if TYPE_CHECKING:
    from torch import Tensor

_LISTED = "safetensors, a torch file, or the index of shards"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one file, as they are there.

    Attributes:
        tensors: by whole name: the keys under which a tensor lies and its own name, joined by dots.
        keys: of each whole name, the part that are keys; empty where the file is a state dict itself.
        sha256: of the file, in hex; of an index, over it and its shards.
        skipped: classes whose objects were not read, as that would need their code.
        unnamed: where there are lists of tensors, and how many each holds.
    """

    path: Path
    tensors: dict[str, Tensor]
    keys: dict[str, str]
    sha256: str
    skipped: tuple[str, ...] = ()
    unnamed: dict[str, int] = field(default_factory=dict)


def read(path: Path) -> Checkpoint:
    """The tensors in a file, whatever it is called; nothing but tensors and plain values is unpickled.

    Raises:
        StoredFileError: there is no such file, it is no checkpoint, or it needs code to be read.
    """
    if not path.exists():
        raise StoredFileError(f"{path}: no such file", f"a checkpoint to import is {_LISTED}")
    if not path.is_file():
        raise StoredFileError(f"{path}: is a folder", f"name the file in it: {_inside(path)}")
    if what := _mistaken(path):
        raise StoredFileError(f"{path}: is {what}, not the file itself", "download it again")
    parts, skipped = [path], tuple[str, ...]()
    if _is_index(path):
        parts, content = _shards(path)
    elif _is_safetensors(path):
        content = files.read_tensors(path)
    else:
        content, skipped = unpickle(path)
    tensors, keys, unnamed = _flat(path, content)
    if not tensors:
        raise _no_weights(path, content, skipped)
    return Checkpoint(path, tensors, keys, _hash(parts), skipped, unnamed)


def _inside(folder: Path) -> str:
    usual = ("*.index.json", "*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt")
    found = [str(file) for pattern in usual for file in sorted(folder.glob(pattern))]
    return " or ".join(found[:3]) or "it holds none that looks like a checkpoint"


def _mistaken(path: Path) -> str | None:
    """What is often downloaded in place of a file."""
    with path.open("rb") as file:
        begin = file.read(64).lstrip().lower()
    if begin.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS"
    return "a web page" if begin.startswith((b"<!doctype html", b"<html")) else None


def _is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do: the length of a header, and JSON; or its name says so."""
    with path.open("rb") as file:
        size, begin = int.from_bytes(file.read(8), "little"), file.read(1)
    return path.suffix.lower() == ".safetensors" or (begin == b"{" and 8 + size <= path.stat().st_size)


def _is_index(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() == ".json" and file.read(1) == b"{"


def _shards(path: Path) -> tuple[list[Path], dict[str, Any]]:
    """The files that an index names, and the tensors that it says they hold."""
    try:
        placed = json.loads(path.read_text())["weight_map"]
        names = sorted({*placed.values()})
        parts = [path.parent / Path(name).name for name in names]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoredFileError(f"{path}: is no index of shards", "its weight_map names their files") from error
    if lacking := [part.name for part in parts if not part.is_file()]:
        raise StoredFileError(f"{path}: names {', '.join(lacking)}, which is not beside it")
    found: dict[str, Any] = {}
    for part in parts:
        found |= files.read_tensors(part) if _is_safetensors(part) else unpickle(part)[0]
    if lost := [name for name in placed if name not in found]:
        raise StoredFileError(f"{path}: its shards lack {', '.join(lost[:3])}")
    return [path, *parts], found


def _hash(parts: Sequence[Path]) -> str:
    """SHA-256 of a file, or over those of several."""
    found = []
    for part in parts:
        with part.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def _flat(path: Path, content: Any) -> tuple[dict[str, Tensor], dict[str, str], dict[str, int]]:
    """Tensors by whole name, what of each name are keys, and the lists of tensors."""
    from torch import Tensor

    tensors: dict[str, Tensor] = {}
    keys: dict[str, str] = {}
    unnamed: dict[str, int] = {}
    for above, name, value in _leaves(content, ""):
        whole = f"{above}{name}"
        if not isinstance(value, Tensor):
            unnamed[whole] = len(value)
            continue
        if whole in tensors:
            raise StoredFileError(f"{path}: holds two tensors called {whole}")
        tensors[whole], keys[whole] = value, above
    return tensors, keys, unnamed


def _leaves(content: Any, above: str, own: str = "") -> Iterator[tuple[str, str, Any]]:
    """Tensors and lists of tensors in nested mappings and lists: the keys above, the name, the value."""
    from torch import Tensor

    inside = _module(content) if isinstance(content, Inert) else content
    inside = dict(enumerate(inside)) if isinstance(inside, list | tuple) else inside
    for name, value in inside.items() if isinstance(inside, Mapping) else ():
        listed = isinstance(value, list | tuple) and bool(value) and all(isinstance(x, Tensor) for x in value)
        if isinstance(value, Tensor) or listed:
            yield above, f"{own}{name}", value
        elif isinstance(content, Inert):
            yield from _leaves(value, above, f"{own}{name}.")
        else:
            yield from _leaves(value, f"{above}{name}.")


def _module(stored: Inert) -> Mapping[str, Any]:
    """A pickled ``nn.Module``'s own tensors by name, and the modules in it; any other object holds none."""
    state = stored.state
    if not {"_parameters", "_buffers", "_modules"} <= state.keys():
        return {}
    passing = state.get("_non_persistent_buffers_set") or ()
    own = {**state["_parameters"], **{k: v for k, v in state["_buffers"].items() if k not in passing}}
    return {**{name: tensor for name, tensor in own.items() if tensor is not None}, **state["_modules"]}


def _no_weights(path: Path, content: Any, skipped: Sequence[str]) -> StoredFileError:
    if any(name.startswith("numpy") for name in skipped):
        return with_code(path, TORCHS.format(str(path)))
    if any("Uninitialized" in name for name in skipped):
        return StoredFileError(f"{path}: saved before its lazy layers had shapes", "save it after one pass")
    named = list(map(str, content)) if isinstance(content, Mapping) else []
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    given = f"a mapping of {', '.join(named[:3])}{more}" if named else f"a {type(content).__name__}"
    return StoredFileError(
        f"{path}: holds no weights, but {given}", "expected names to tensors, at any depth"
    )
