"""Runs that train in step: their tensors, their data, and the loop over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from lmc.jobs.planning.journal import Journal
from lmc.jobs.planning.members import Member
from lmc.jobs.protocol.talk import Bar, Talk
from lmc.models.stack import State, stack_states
from lmc.training import Epoch, Fit, Trainee, batch_loss, orders


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
        data = self.plan.dataset
        seeds = [member.plan.order_seed(member.seed) for member in self.members]
        inputs, targets = data.train.inputs.to(self.device), data.train.targets.to(self.device)
        loss = batch_loss(
            self.trainee, inputs, targets, data.task.losses, data.task.correct, seeds, data.augment
        )
        fit = Fit(
            self.trainee.leaves,
            loss,
            orders(seeds, len(data.train)),
            self.plan.training,
            self.trainee.masks,
            self.trainee.centres,
        )
        if self.members[0].way.recomputes:
            fit.within = self.trainee.held
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
        journal = Journal(self.members, self.trainee, self.fit, self.device, talk)

        def hook(epoch: Epoch) -> None:
            journal.end_of_epoch(epoch)
            bar.advance(len(self.members))
            bar.note(f"loss {float(epoch.loss.nanmean()):.3g}")

        if self.fit.position.epoch == 0 and self.fit.position.step == 0:
            journal.start()
        finished = self.fit.run([hook], stopped)
        journal.finish() if finished else journal.suspend()
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
