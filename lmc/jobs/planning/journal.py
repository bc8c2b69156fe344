"""What is stored of runs on the way: losses, checkpoints, and what is needed to go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lmc.core.schema import concatenate, frame
from lmc.jobs.planning.members import OPTIMISER, WEIGHT, Member
from lmc.jobs.protocol.talk import Talk
from lmc.models.stack import unstack
from lmc.recording import evaluate
from lmc.store import files
from lmc.training import Epoch, Fit, Trainee

SAVE_EVERY = 20.0
"""Seconds between resume states."""


class Journal:
    """Writes histories, checkpoints and resume states of runs that train in step."""

    def __init__(
        self, members: Sequence[Member], trainee: Trainee, fit: Fit, device: torch.device, talk: Talk
    ) -> None:
        self.members, self.trainee, self.fit = members, trainee, fit
        self.data, self.device, self.talk = members[0].plan.dataset, device, talk
        self.rows: list[list[dict[str, Any]]] = [[] for _ in members]
        self.began = time.monotonic()
        self.saved = self.began
        self.marked = [False] * len(members)
        self.before = [self._earlier(member) for member in members]
        self.seconds = max(
            (float(table["seconds"].max()) for table in self.before if len(table)), default=0.0
        )

    def _earlier(self, member: Member) -> Any:
        path = member.run.path / "history.parquet"
        if not path.is_file():
            return frame("history", [])
        table = files.read_table(path)
        return table[table["epoch"] <= self.fit.position.epoch]

    def start(self) -> None:
        """Store the initialisation."""
        self._measure(0, float("nan"), exact=True)
        self._checkpoint(0)

    def end_of_epoch(self, epoch: Epoch) -> None:
        """Measure, store where asked for, and mark the runs that diverged."""
        stored = any(epoch.number in member.plan.checkpoints for member in self.members)
        for run in range(len(self.members)):
            self._row(
                run, epoch.number, "train_running", epoch.loss[run], epoch.accuracy[run], epoch.learning_rate
            )
        self._measure(epoch.number, epoch.learning_rate, exact=stored)
        for run, member in enumerate(self.members):
            if not epoch.alive[run] and not self.marked[run]:
                self.marked[run] = True
                self._write_history(run)
                member.run.write_info(status="diverged", diverged_at=epoch.number, seconds=self._elapsed())
                (member.run.path / "state.safetensors").unlink(missing_ok=True)
                self.talk.warn(f"{member.run.reference} diverged in epoch {epoch.number}: no finite loss")
        if stored:
            self._checkpoint(epoch.number)
        if time.monotonic() - self.saved > SAVE_EVERY:
            self._save()

    def finish(self) -> None:
        """Mark the runs as done; nothing is left to resume."""
        for run, member in enumerate(self.members):
            if self.marked[run]:
                continue
            self._write_history(run)
            member.run.write_info(status="done", seconds=self._elapsed(), device=str(self.device))
            (member.run.path / "state.safetensors").unlink(missing_ok=True)

    def suspend(self) -> None:
        """Store what is needed to go on."""
        self._save()
        for run, member in enumerate(self.members):
            if not self.marked[run]:
                member.run.write_info(status="interrupted", seconds=self._elapsed())

    def _save(self) -> None:
        states, fit = self.trainee.states(), self.fit
        for run, member in enumerate(self.members):
            if self.marked[run]:
                continue
            weights = {WEIGHT + name: value for name, value in unstack(states, run).items()}
            progress = {OPTIMISER + name: value for name, value in fit.tensors(run).items()}
            self._write_history(run)
            files.write_tensors(member.run.path / "state.safetensors", {**weights, **progress})
        self.saved = time.monotonic()

    def _checkpoint(self, epoch: int) -> None:
        states = self.trainee.states()
        for run, member in enumerate(self.members):
            if not self.marked[run] and epoch in member.plan.checkpoints:
                self._write_history(run)
                files.write_tensors(member.run.checkpoint(epoch), unstack(states, run))

    def _measure(self, epoch: int, learning_rate: float, exact: bool) -> None:
        data, trainee = self.data, self.trainee
        states = trainee.states()
        for name, split in data.splits.items():
            if not len(split) or (name == "train" and not exact):
                continue
            task = data.task
            loss, accuracy = evaluate(
                trainee.module, states, split.inputs, split.targets, task.losses, task.correct
            )
            for run in range(len(self.members)):
                self._row(run, epoch, name, loss[run], accuracy[run], learning_rate)

    def _row(
        self, run: int, epoch: int, split: str, loss: Tensor, accuracy: Tensor, learning_rate: float
    ) -> None:
        if self.marked[run]:
            return
        member = self.members[run]
        self.rows[run].append(
            {
                "experiment": member.plan.experiment.name,
                "seed": member.seed,
                "epoch": epoch,
                "split": split,
                "loss": float(loss),
                "accuracy": float(accuracy),
                "learning_rate": learning_rate,
                "seconds": self._elapsed(),
            }
        )

    def _write_history(self, run: int) -> None:
        table = concatenate("history", [self.before[run], frame("history", self.rows[run])])
        files.write_table(self.members[run].run.path / "history.parquet", table)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.began
