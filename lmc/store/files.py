"""Reading and writing one file: whole or not at all, and never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lmc.core import files as core
from lmc.core.errors import OutputError, SettingError, StoredFileError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


_ELSEWHERE = "outputs=DIR writes elsewhere"
replacing = partial(core.replacing, hint=_ELSEWHERE)


def check_writable(folder: Path) -> None:
    """Try the outputs folder before any work.

    Raises:
        OutputError: nothing can be written there.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise OutputError(f"{existing}: is a file, so no outputs can be written there", _ELSEWHERE)
    with replacing(existing / ".lmc-writable") as temporary:
        temporary.write_bytes(b"")
    (existing / ".lmc-writable").unlink(missing_ok=True)


def check_file(path: Path, suffixes: Sequence[str]) -> None:
    """Try a file that the user named, before any work.

    Raises:
        SettingError: it cannot be written, or its name does not say its format.
    """
    if path.suffix.lower() not in suffixes:
        listed = " or ".join(", ".join(suffixes).rsplit(", ", 1))
        raise SettingError(f"{path}: the name of the file says its format", f"let it end in {listed}")
    if path.is_dir():
        raise SettingError(f"{path}: is a folder, not a file")
    if not path.parent.is_dir():
        raise SettingError(f"{path}: there is no folder {path.parent}")
    try:
        check_writable(path.parent)
        if path.exists():
            with path.open("ab"):
                pass
    except (OutputError, OSError) as error:
        reason = getattr(error.__cause__ or error, "strerror", None) or error
        raise SettingError(f"{path}: cannot be written: {reason}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write settings as YAML, in their own order."""
    write_text(path, yaml.safe_dump(dict(content), sort_keys=False))


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as safetensors, with texts in the file's header."""
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(plain, temporary, dict(metadata) if metadata else None)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as parquet."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises StoredFileError if it is damaged."""
    try:
        content = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise StoredFileError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise StoredFileError(f"{path}: holds no JSON object")
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """Read settings; raises StoredFileError if they are damaged."""
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise StoredFileError(f"{path}: cannot be read as YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise StoredFileError(f"{path}: holds no settings")
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors.

    Raises:
        StoredFileError: the file is truncated or is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise StoredFileError(f"{path}: truncated, or not a safetensors file ({error})") from error


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in a safetensors file's header; raises StoredFileError if it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise StoredFileError(f"{path}: truncated, or not a safetensors file ({error})") from error


def read_table(path: Path) -> pd.DataFrame:
    """Read a parquet table; raises StoredFileError if it is damaged."""
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoredFileError(f"{path}: truncated, or not a parquet table") from error
