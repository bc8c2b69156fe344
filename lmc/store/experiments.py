"""Experiments and runs on disk. Reading a folder runs none of its code."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from lmc.core.errors import OutputError, RunReferenceError
from lmc.store import files, records
from lmc.store.records import Made, RunInfo

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

KINDS = ("train", "merge")
_EPOCH = re.compile(r"epoch-(\d+)\.safetensors$")


@dataclass(frozen=True)
class Run:
    """One run's folder, ``outputs/train/<experiment>/<seed>``."""

    path: Path

    @property
    def experiment(self) -> Experiment:
        """The experiment it belongs to."""
        return Experiment(self.path.parent)

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.path.name)

    @property
    def reference(self) -> str:
        """``EXPERIMENT/SEED``."""
        return f"{self.path.parent.name}/{self.path.name}"

    def info(self) -> RunInfo:
        """``run.json``.

        Raises:
            StoredFileError: no run is stored here, or by a later version of the program.
        """
        return records.read_as(RunInfo, self.path / records.INFO)

    def write_info(self, **content: Any) -> None:
        """Write ``run.json``: what is there, updated with ``content``."""
        before = self.info() if self.exists() else RunInfo(status="running")
        records.write(self.path / records.INFO, replace(before, **content))

    def exists(self) -> bool:
        """Whether anything of the run is stored."""
        return (self.path / records.INFO).is_file()

    def status(self) -> str:
        """``done``, ``diverged``, ``running``, or ``interrupted`` where the process is gone."""
        if not self.exists():
            return "missing"
        status = self.info().status
        return "interrupted" if status == "running" and not self.is_locked() else status

    def epochs(self) -> list[int]:
        """The stored epochs, in order."""
        if not self.path.is_dir():
            return []
        found = (_EPOCH.search(item.name) for item in self.path.iterdir())
        return sorted(int(match[1]) for match in found if match and not match.string.startswith("."))

    def checkpoint(self, epoch: int) -> Path:
        """Where an epoch's weights lie."""
        return self.path / f"epoch-{epoch:04d}.safetensors"

    def state(self, epoch: int) -> dict[str, Tensor]:
        """The effective weights at a stored epoch."""
        return files.read_tensors(self.checkpoint(epoch))

    def history(self) -> pd.DataFrame:
        """The table ``history`` of this run."""
        return files.read_table(self.path / "history.parquet")

    def megabytes(self) -> float:
        """Size on disk."""
        return sum(item.stat().st_size for item in self.path.rglob("*") if item.is_file()) / 1e6

    def _lock(self) -> FileLock:
        return FileLock(self.path / ".lock")

    def is_locked(self) -> bool:
        """Whether a living process works on the run."""
        try:
            with self._lock().acquire(timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    @contextmanager
    def locked(self, wait: bool = True, waiting: Any = None) -> Iterator[None]:
        """Hold the run. The operating system frees the lock of a process that died.

        Args:
            wait: whether to wait for a living holder.
            waiting: called once with a text that names the holder.

        Raises:
            OutputError: a living process holds it and ``wait`` is false, or the folder is not writable.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._lock()
            try:
                lock.acquire(timeout=0)
            except Timeout:
                text = f"{self.reference}: process {self._holder()} is working on it"
                if not wait:
                    raise OutputError(text, "wait for it, or stop it") from None
                if waiting:
                    waiting(f"{text}; waiting")
                lock.acquire()
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror}", "outputs=DIR writes elsewhere"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _holder(self) -> str:
        process = self.info().process if self.exists() else {}
        return f"{process.get('pid', '?')} on {process.get('host', 'this machine')}"

    def clear(self) -> None:
        """Delete what is stored of the run but keep its lock."""
        for item in self.path.iterdir() if self.path.is_dir() else ():
            if item.name != ".lock":
                item.unlink()


@dataclass(frozen=True)
class Experiment:
    """One experiment's folder: settings, constraints, and a folder a seed."""

    path: Path

    @property
    def name(self) -> str:
        """Its full name, with the hash."""
        return self.path.name

    @property
    def kind(self) -> str:
        """``train`` or ``merge``."""
        return self.path.parent.name

    def run(self, seed: int) -> Run:
        """The run of a seed, stored or not."""
        return Run(self.path / str(seed))

    def runs(self) -> list[Run]:
        """The stored runs, by seed."""
        folders = [item for item in self.path.iterdir() if item.name.isdigit()] if self.path.is_dir() else []
        return sorted((run for run in map(Run, folders) if run.exists()), key=lambda run: run.seed)

    def record(self) -> Made:
        """``settings.yaml``."""
        return records.read_as(Made, self.path / records.SETTINGS)

    def settings(self) -> dict[str, Any]:
        """What ``settings.yaml`` says, as a person is shown it."""
        return self.record().content()

    def constraints(self) -> dict[str, Tensor]:
        """The stored D, f and C; empty for a plain network."""
        path = self.path / "constraints.safetensors"
        return files.read_tensors(path) if path.is_file() else {}

    def write(self, record: Made, constraints: Mapping[str, Tensor]) -> None:
        """Store what all runs share, once."""
        if not (self.path / records.SETTINGS).is_file():
            if constraints:
                files.write_tensors(self.path / "constraints.safetensors", constraints)
            records.write(self.path / records.SETTINGS, record)

    def remove_if_empty(self) -> None:
        """Delete the folder when no run is left in it."""
        if self.path.is_dir() and not self.runs():
            shutil.rmtree(self.path)


def experiments(outputs: Path) -> list[Experiment]:
    """All stored experiments, trained and merged, by name."""
    found = []
    for kind in KINDS:
        folder = outputs / kind
        if folder.is_dir():
            found += [
                Experiment(item) for item in sorted(folder.iterdir()) if (item / records.SETTINGS).is_file()
            ]
    return found


def at_epoch(run: Run, epoch: int | None) -> int:
    """A stored epoch of a run: the given one, or the last.

    Raises:
        RunReferenceError: it was never stored, or the run has not finished and no epoch is named.
    """
    stored = run.epochs()
    if epoch is None:
        if run.status() != "done":
            raise RunReferenceError(
                f"{run.reference} is {run.status()}, not done",
                "train it again to finish it, or name a stored epoch with @",
            )
        if not stored:
            raise RunReferenceError(f"{run.reference}: its weights are gone", "force=true trains it again")
        return stored[-1]
    if epoch not in stored:
        listed = ", ".join(map(str, stored)) or "none"
        raise RunReferenceError(
            f"{run.reference}@{epoch}: epoch {epoch} was never stored",
            f"stored: {listed}; training.checkpoints=[{epoch}] stores it",
        )
    return epoch
