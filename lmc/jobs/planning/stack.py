"""Runs that train in step: their tensors, their data, and what is stored of them on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lmc.core.tables import concatenate, frame
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.outcome import Bar, Talk
from lmc.models.stack import State, is_convolutional, is_random, stack_states, unstack
from lmc.recording import evaluate
from lmc.recording.evaluation import activation_size
from lmc.store import files
from lmc.store.experiments import Run
from lmc.store.provenance import provenance
from lmc.training import Epoch, Fit, Recipe, Trainee, objective, orders

SAVE_EVERY = 20.0
_WEIGHT, _OPTIMISER = "w:", "o:"


@dataclass
class Member:
    """One run to train or to finish."""

    plan: Plan
    seed: int

    @property
    def run(self) -> Run:
        """Where it is stored."""
        return self.plan.experiment.run(self.seed)

    @cached_property
    def resumed(self) -> dict[str, Tensor] | None:
        """What an interrupted training left, if it still stores every epoch that is asked for."""
        path = self.run.path / "state.safetensors"
        if not path.is_file():
            return None
        state = files.read_tensors(path)
        epoch = int(state[f"{_OPTIMISER}#position"][0])
        done = {stored for stored in self.plan.checkpoints if stored <= epoch}
        return state if done <= set(self.run.epochs()) else None

    @cached_property
    def _network(self) -> nn.Module:
        return self.plan.build(self.seed)

    @property
    def random(self) -> bool:
        """Whether its network draws random numbers, so that it trains alone."""
        return is_random(self._network)

    @property
    def convolutional(self) -> bool:
        """Whether it trains faster alone (measured on a CPU); ``stack=`` says otherwise."""
        return is_convolutional(self._network)

    @property
    def stack_key(self) -> tuple[str, ...]:
        """Members with equal keys can train in step."""
        plan = self.plan
        position = [0, 0] if self.resumed is None else self.resumed[f"{_OPTIMISER}#position"].tolist()[:2]
        recipe = {key: value for key, value in asdict(plan.training).items() if key != "checkpoints"}
        parts = (plan.record.data, plan.model, recipe, sorted(plan.constraint.mixings), position)
        return tuple(map(str, parts))

    def initial(self) -> State:
        """The weights to begin with: stored ones where training goes on."""
        if self.resumed is None:
            return self.plan.initial_state(self.seed)
        return {
            name.removeprefix(_WEIGHT): value
            for name, value in self.resumed.items()
            if name.startswith(_WEIGHT)
        }

    def progress(self) -> dict[str, Tensor] | None:
        """The optimiser's state and position to go on from."""
        if self.resumed is None:
            return None
        return {
            name.removeprefix(_OPTIMISER): value
            for name, value in self.resumed.items()
            if name.startswith(_OPTIMISER)
        }

    def prepare(self, fresh: bool) -> None:
        """Mark the run as under way, after deleting what it cannot go on from."""
        if fresh or self.resumed is None:
            self.run.clear()
            self.__dict__.pop("resumed", None)
        name, keywords = self.plan.model
        self.run.write_info(
            status="running",
            model={"name": name, "keywords": keywords},
            seed=self.seed,
            init_seed=self.plan.init_seed(self.seed),
            order_seed=self.plan.order_seed(self.seed),
            constraint_digest=self.plan.constraint.digest(),
            **provenance(),
        )


class TrainingStack:
    """Members with equal keys, trained as one tensor with a leading run axis."""

    def __init__(self, members: Sequence[Member], device: torch.device) -> None:
        self.members = list(members)
        self.plan = members[0].plan
        self.device = device

    @cached_property
    def trainee(self) -> Trainee:
        """The networks, on the device."""
        tensors = stack_states([member.initial() for member in self.members])
        constraints = [member.plan.constraint for member in self.members]
        masks = _stacked([constraint.masks for constraint in constraints], tensors, 1.0)
        centres = _stacked([constraint.centres for constraint in constraints], tensors, 0.0)
        move = lambda tree: {name: tensor.to(self.device) for name, tensor in tree.items()}  # noqa: E731
        module = self.plan.build(self.members[0].seed).to(self.device)
        return Trainee(module, move(tensors), move(masks), move(centres))

    @cached_property
    def fit(self) -> Fit:
        """The training loop over the networks, standing where the members stand."""
        data, training = self.plan.dataset, asdict(self.plan.training)
        del training["checkpoints"]
        seeds = [member.plan.order_seed(member.seed) for member in self.members]
        inputs, targets = data.train.inputs.to(self.device), data.train.targets.to(self.device)
        loss = objective(
            self.trainee, inputs, targets, data.task.losses, data.task.correct, seeds, data.augment
        )
        fit = Fit(
            self.trainee.leaves,
            loss,
            orders(seeds, len(data.train)),
            Recipe(**training),
            self.trainee.masks,
            self.trainee.centres,
        )
        progress = [state for member in self.members if (state := member.progress()) is not None]
        if progress:
            fit.restore(progress)
        return fit

    @property
    def remaining(self) -> int:
        """Epochs still to train."""
        state = self.members[0].progress()
        return self.plan.training.epochs - (0 if state is None else int(state["#position"][0]))

    def train(self, stopped: Callable[[], bool], bar: Bar, talk: Talk) -> bool:
        """Train to the end; False when stopped, with everything stored that is needed to go on."""
        self.trainee.module.train()
        keeper = _Keeper(self, talk)

        def hook(epoch: Epoch) -> None:
            keeper.end_of_epoch(epoch)
            bar.advance(len(self.members))
            bar.note(f"loss {float(epoch.loss.nanmean()):.3g}")

        if self.fit.position.epoch == 0 and self.fit.position.step == 0:
            keeper.start()
        finished = self.fit.run([hook], stopped)
        keeper.finish() if finished else keeper.suspend()
        return finished

    def estimate(self) -> float:
        """Seconds that the remaining epochs will take, from a few steps on the real stack."""
        steps = 6
        taken: list[float] = []

        def stopped() -> bool:
            taken.append(time.monotonic())
            return len(taken) > steps

        self.trainee.module.train()
        self.fit.run((), stopped)
        batches = -(-len(self.plan.dataset.train) // self.plan.training.batch_size)
        spent = [after - before for before, after in pairwise(taken)][1:] or [0.0]
        return sorted(spent)[len(spent) // 2] * batches * self.remaining


class _Keeper:
    """Writes a stack's histories, checkpoints and resume states."""

    def __init__(self, stack: TrainingStack, talk: Talk) -> None:
        self.stack, self.talk = stack, talk
        self.rows: list[list[dict[str, Any]]] = [[] for _ in stack.members]
        self.began = time.monotonic()
        self.saved = self.began
        self.marked = [False] * len(stack.members)
        self.before = [self._earlier(member) for member in stack.members]
        self.seconds = max(
            (float(table["seconds"].max()) for table in self.before if len(table)), default=0.0
        )

    def _earlier(self, member: Member) -> Any:
        path = member.run.path / "history.parquet"
        if not path.is_file():
            return frame("history", [])
        table = files.read_table(path)
        return table[table["epoch"] <= self.stack.fit.position.epoch]

    def start(self) -> None:
        """Store the initialisation."""
        self._measure(0, float("nan"), exact=True)
        self._checkpoint(0)

    def end_of_epoch(self, epoch: Epoch) -> None:
        """Measure, store where asked for, and mark the runs that diverged."""
        stored = any(epoch.number in member.plan.checkpoints for member in self.stack.members)
        for run in range(len(self.stack.members)):
            self._row(
                run, epoch.number, "train_running", epoch.loss[run], epoch.accuracy[run], epoch.learning_rate
            )
        self._measure(epoch.number, epoch.learning_rate, exact=stored)
        for run, member in enumerate(self.stack.members):
            if not epoch.alive[run] and not self.marked[run]:
                self.marked[run] = True
                self._write_history(run)
                member.run.write_info(status="diverged", diverged_at=epoch.number, seconds=self._elapsed())
                (member.run.path / "state.safetensors").unlink(missing_ok=True)
                self.talk.say(
                    f"warning: {member.run.reference} diverged in epoch {epoch.number}: no finite loss"
                )
        if stored:
            self._checkpoint(epoch.number)
        if time.monotonic() - self.saved > SAVE_EVERY:
            self._save()

    def finish(self) -> None:
        """Mark the runs as done; nothing is left to resume."""
        for run, member in enumerate(self.stack.members):
            if self.marked[run]:
                continue
            self._write_history(run)
            member.run.write_info(status="done", seconds=self._elapsed(), device=str(self.stack.device))
            (member.run.path / "state.safetensors").unlink(missing_ok=True)

    def suspend(self) -> None:
        """Store what is needed to go on."""
        self._save()
        for run, member in enumerate(self.stack.members):
            if not self.marked[run]:
                member.run.write_info(status="interrupted", seconds=self._elapsed())

    def _save(self) -> None:
        states, fit = self.stack.trainee.states(), self.stack.fit
        for run, member in enumerate(self.stack.members):
            if self.marked[run]:
                continue
            weights = {_WEIGHT + name: value for name, value in unstack(states, run).items()}
            progress = {_OPTIMISER + name: value for name, value in fit.tensors(run).items()}
            self._write_history(run)
            files.write_tensors(member.run.path / "state.safetensors", {**weights, **progress})
        self.saved = time.monotonic()

    def _checkpoint(self, epoch: int) -> None:
        states = self.stack.trainee.states()
        for run, member in enumerate(self.stack.members):
            if not self.marked[run] and epoch in member.plan.checkpoints:
                self._write_history(run)
                files.write_tensors(member.run.checkpoint(epoch), unstack(states, run))

    def _measure(self, epoch: int, learning_rate: float, exact: bool) -> None:
        data, trainee = self.stack.plan.dataset, self.stack.trainee
        states = trainee.states()
        for name, split in data.splits.items():
            if not len(split) or (name == "train" and not exact):
                continue
            task = data.task
            loss, accuracy = evaluate(
                trainee.module, states, split.inputs, split.targets, task.losses, task.correct
            )
            for run in range(len(self.stack.members)):
                self._row(run, epoch, name, loss[run], accuracy[run], learning_rate)

    def _row(
        self, run: int, epoch: int, split: str, loss: Tensor, accuracy: Tensor, learning_rate: float
    ) -> None:
        if self.marked[run]:
            return
        member = self.stack.members[run]
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
        files.write_table(self.stack.members[run].run.path / "history.parquet", table)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.began


def memory_of_run(plan: Plan) -> int:
    """Bytes one run takes in training: seven numbers a weight (moments, D, f, ...), and activations."""
    module = plan.build(plan.seeds[0])
    weights = sum(tensor.numel() for tensor in module.parameters())
    batch = plan.training.batch_size * activation_size(module, plan.dataset.train.inputs[:1])
    return 4 * (7 * weights + 6 * batch)


def _stacked(trees: Sequence[dict[str, Tensor]], like: State, trivial: float) -> State:
    names = list(dict.fromkeys(name for tree in trees for name in tree))
    return {
        name: torch.stack(
            [
                tree[name].to(like[name].dtype) if name in tree else torch.full_like(like[name][0], trivial)
                for tree in trees
            ]
        )
        for name in names
    }
