"""Permutations on disk, found again by what they were made from.

A file ``permutations.safetensors`` beside a result holds, under ``RUN_A:RUN_B:GROUP``, which neuron of run
B takes each slot of run A. Its metadata hold, for every set of runs matched together, a digest of the
runs' weights and of the matcher with all its settings; where a file holds several matchings of the same
runs, the names of all but the first begin with that digest. Retrained runs, moved settings and files without
such a digest are never taken for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lmc.core.errors import StoredFileError
from lmc.store import files

FILE = "permutations.safetensors"
_KEY = "matchings"


@dataclass(frozen=True)
class StoredMatching:
    """A matching of N runs as it lies on disk; ``facts`` are its objective, sweeps and seconds.

    Attributes:
        digest: of the runs' weights and the matcher's settings.
        references: one per run, ``EXPERIMENT/SEED``.
        permutations: one per run, group name to (n,) int64; the first run's is the identity.
    """

    digest: str
    references: Sequence[str]
    permutations: Sequence[Mapping[str, Tensor]]
    facts: Mapping[str, float]


def save(folder: Path, matchings: Iterable[StoredMatching]) -> None:
    """Write matchings to the first of their runs beside a job's tables; nothing where there are none."""
    tensors: dict[str, Tensor] = {}
    index = {}
    for each in matchings:
        own = _named(each)
        before = f"{each.digest}:" if own.keys() & tensors.keys() else ""
        tensors.update({before + key: value for key, value in own.items()})
        facts = dict(each.facts)
        index[each.digest] = {"runs": list(each.references), "before": before, "facts": facts}
    if index:
        files.write_tensors(folder / FILE, tensors, {_KEY: json.dumps(index)})


def _named(matching: StoredMatching) -> dict[str, Tensor]:
    first, *others = matching.references
    return {
        f"{first}:{reference}:{group}": value
        for reference, own in zip(others, matching.permutations[1:], strict=True)
        for group, value in own.items()
    }


def find(outputs: Path, digest: str) -> StoredMatching | None:
    """The matching of this digest under an outputs folder; a damaged file is passed over."""
    for path in sorted(outputs.glob(f"*/*/{FILE}")):
        try:
            entry = json.loads(files.read_metadata(path).get(_KEY, "{}")).get(digest)
            if entry is not None:
                return _read(path, digest, entry)
        except (StoredFileError, ValueError):
            continue
    return None


def _read(path: Path, digest: str, entry: Mapping[str, Any]) -> StoredMatching:
    tensors = files.read_tensors(path)
    first, *others = entry["runs"]
    found: list[dict[str, Tensor]] = [{}]
    for reference in others:
        begin = f"{entry['before']}{first}:{reference}:"
        own = {key: value for key, value in tensors.items() if key.startswith(begin)}
        found.append({key.removeprefix(begin): value for key, value in own.items()})
    found[0] = {group: value.sort().values for group, value in found[1].items()}
    return StoredMatching(digest, entry["runs"], found, dict(entry["facts"]))
