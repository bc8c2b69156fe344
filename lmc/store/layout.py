"""Where everything lies under an outputs folder: ``<kind>/<name>/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmc.core.errors import LmcError, StoredFileError
from lmc.store import experiments as stored
from lmc.store import records, references, results
from lmc.store.experiments import KINDS, Experiment, Run
from lmc.store.identity import Identity, hash_of, stem_of
from lmc.store.records import SETTINGS, Job, Record, Reproduce
from lmc.store.references import Selection

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Store:
    """An outputs folder; nothing is written by asking it."""

    root: Path

    @classmethod
    def around(cls, folder: Path) -> Store:
        """The store in which an experiment's or a job's folder lies."""
        kind = folder.parent
        return cls(kind.parent)

    def experiments(self) -> list[Experiment]:
        """All stored experiments, trained, imported and merged, by name."""
        return stored.experiments(self.root)

    def experiment(self, kind: str, name: str) -> Experiment:
        """An experiment by kind (``train`` or ``merge``) and full name, stored or not."""
        return Experiment(self.root.resolve() / kind / name)

    def runs_of(self, name: str) -> dict[int, Run]:
        """The stored runs of the experiments of a full name, by seed."""
        return {run.seed: run for kind in KINDS for run in self.experiment(kind, name).runs()}

    def resolve(self, reference: str) -> list[Selection]:
        """The runs a reference stands for; see ``lmc.store.references.resolve``."""
        return references.resolve(self.root, reference)

    def job(self, command: str, name: str) -> Path:
        """The folder of a job's results, stored or not."""
        return self.root / command / name

    def folders(self) -> list[Path]:
        """The folders of everything that has a record, by kind and name."""
        return [path.parent for path in sorted(self.root.glob(f"*/*/{SETTINGS}"))]

    def kind_of(self, folder: Path) -> str:
        """The kind's folder that a folder lies in: ``train``, ``merge``, or a command."""
        return folder.parent.name

    def jobs(self) -> list[tuple[Path, Job | Reproduce]]:
        """Everything computed, in the order it ended.

        Raises:
            StoredFileError: a record is damaged.
        """
        there = [folder for folder in self.folders() if self.kind_of(folder) not in KINDS]
        there.sort(key=lambda folder: (folder / SETTINGS).stat().st_mtime)
        read = ((folder, records.read(folder / SETTINGS)) for folder in there)
        return [(folder, record) for folder, record in read if isinstance(record, (Job, Reproduce))]

    def name(
        self, kind: str, stem: str, identity: Identity, same: Callable[[Record], bool], say: bool = True
    ) -> str:
        """The name of a thing to store: its own, or that under which the same is stored already.

        Args:
            kind: the folder it belongs in.
            stem: the readable part before what the identity says.
            same: whether a record, perhaps an earlier version's with another hash, is of this identity.
            say: as of ``Identity.name``.
        """
        name = identity.name(stem, say)
        if (self.root / kind / name / SETTINGS).is_file():
            return name
        for folder in self._like(kind, stem):
            if not say and stem_of(folder.name) != stem:
                continue
            if hash_of(folder.name) == identity.digest or _is_same(folder, same):
                return folder.name
        return name

    def _like(self, kind: str, stem: str) -> Iterator[Path]:
        """Stored folders whose names begin alike."""
        begins = stem_of(Identity({}).name(stem))
        folder = self.root / kind
        for item in sorted(folder.iterdir()) if folder.is_dir() else ():
            if item.name.startswith(begins) and (item / SETTINGS).is_file():
                yield item

    def collect(
        self,
        kind: str,
        names: Iterable[str] | None = None,
        skip: Callable[[StoredFileError], None] | None = None,
    ) -> pd.DataFrame:
        """All stored rows of one kind of table; see ``lmc.store.results.collect``."""
        return results.collect(self.root, kind, names, skip)


def _is_same(folder: Path, same: Callable[[Record], bool]) -> bool:
    try:
        return same(records.read(folder / SETTINGS))
    except LmcError:
        return False
