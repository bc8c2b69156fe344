"""Decoded data kept between commands, so that images are decoded once.

    $LMC_CACHE or ~/.cache/lmc / data / <key> / inputs.npy, targets.npy, ..., raw.json

The key is a hash of what the data were decoded from: places, names, sizes and times of the files. An
entry counts only if its arrays have the digest that was written beside them, so a damaged one is
decoded again, and two processes writing the same entry do no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from lmc.core.errors import OutputError
from lmc.core.files import replacing
from lmc.data.dataset import Raw

FORMAT = 2
_FIELDS = ("task", "outputs", "kind", "scale", "notes", "doubts")


def folder() -> Path:
    """Where decoded data are kept."""
    return Path(os.environ.get("LMC_CACHE") or Path.home() / ".cache" / "lmc").expanduser() / "data"


def cached(identity: Any, decode: Callable[[], Raw]) -> Raw:
    """The data stored for ``identity`` (anything JSON can hold), else decoded now and stored.

    If the folder cannot be written, the data are decoded again the next time.
    """
    key = hashlib.sha256(json.dumps([FORMAT, identity]).encode()).hexdigest()[:32]
    entry = folder() / key
    raw = _read(entry)
    if raw is None:
        raw = decode()
        with contextlib.suppress(OutputError):
            _write(entry, raw)
    return raw


def _read(entry: Path) -> Raw | None:
    try:
        fields = json.loads((entry / "raw.json").read_text(encoding="utf-8"))
        stored: dict[str, Any] = {name: _load(entry / f"{name}.npy") for name in fields["arrays"]}
        plain = {name: fields[name] for name in _FIELDS}
        plain |= {name: tuple(plain[name]) for name in ("notes", "doubts")}
        raw = Raw(**stored, **plain)
        return raw if raw.digest == fields["digest"] else None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _load(file: Path) -> torch.Tensor:
    return torch.from_numpy(np.load(file, allow_pickle=False))


def _write(entry: Path, raw: Raw) -> None:
    for name, tensor in raw.tensors.items():
        with replacing(entry / f"{name}.npy") as temporary, temporary.open("wb") as file:
            _save(tensor, file)
    fields = {name: getattr(raw, name) for name in _FIELDS}
    text = json.dumps(fields | {"arrays": list(raw.tensors), "digest": raw.digest}, indent=1)
    with replacing(entry / "raw.json") as temporary:
        temporary.write_text(text, encoding="utf-8")


def _save(tensor: torch.Tensor, file: IO[bytes]) -> None:
    np.save(file, tensor.numpy())
