"""What is stored that was made from runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lmc.core.errors import LmcError
from lmc.store import files
from lmc.store.experiments import KINDS, Run


def dependents(outputs: Path, runs: Sequence[Run]) -> list[str]:
    """Results, merged runs and started runs whose settings name one of the runs."""
    removed = {each.path.resolve() for each in runs}
    named = {each.reference for each in runs} | {each.experiment.name for each in runs}
    found = []
    for path in sorted(outputs.glob("*/*/settings.yaml")):
        if path.parent.parent.name in KINDS and all(
            item.resolve() in removed for item in path.parent.iterdir() if item.name.isdigit()
        ):
            continue
        try:
            record = files.read_yaml(path)
        except LmcError:
            continue
        sources = [*record.get("runs", []), *record.get("sources", [])]
        mentioned = {str(source).rpartition("/")[0] for source in sources} | {
            str(record.get("start")).partition("@")[0]
        }
        if mentioned & named:
            found.append(str(path.parent.relative_to(outputs)))
    return found
