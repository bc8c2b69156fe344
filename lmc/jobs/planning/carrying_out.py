"""Plans carried out: runs of one shape and recipe train in one stack, as many as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby

import torch

from lmc.core.errors import Interrupted
from lmc.jobs.planning.members import Member, members_of, memory_of_run
from lmc.jobs.planning.plan import Plan
from lmc.jobs.planning.stack import TrainingStack
from lmc.jobs.planning.stopping import stoppable
from lmc.jobs.protocol.machine import free_memory, use_device
from lmc.jobs.protocol.talk import Talk
from lmc.store.files import check_writable


def train(plans: Sequence[Plan], talk: Talk) -> None:
    """Carry out plans: runs of one shape and recipe train in one stack, whatever their variant.

    Raises:
        Interrupted: the user stopped it; every run can go on.
    """
    settings = plans[0].settings
    check_writable(plans[0].experiment.path)
    device = use_device(settings.device, settings.threads)
    wanted = [(plan, seed) for plan in plans for seed in plan.seeds]
    with ExitStack() as locks:
        for plan, seed in sorted(wanted, key=lambda item: item[0].experiment.run(item[1]).reference):
            if settings.force or not plan.finished(plan.experiment.run(seed)):
                locks.enter_context(plan.experiment.run(seed).locked(waiting=talk.say))
        members = [
            member
            for plan in plans
            for member in members_of(plan, plan.seeds if settings.force else plan.pending())
        ]
        _say_skipped(plans, len(wanted) - len(members), talk)
        if not members:
            return
        _say_alone(members, talk)
        for plan in plans:
            if plan.unconstrained:
                talk.say(f"{plan.experiment.name}: {plan.unconstrained}")
            plan.experiment.write(plan.record, plan.constraint.tensors())
        for member in members:
            member.prepare(fresh=settings.force)
        stacks = list(_stacks(members, settings.stack, device))
        epochs = sum(stack.remaining * len(stack.members) for stack in stacks)
        with stoppable() as stopped, talk.progress("training", epochs) as bar:
            for stack in stacks:
                if not stack.train(stopped, bar, talk):
                    raise Interrupted(
                        f"stopped at epoch {stack.fit.position.epoch} of {stack.plan.training.epochs}",
                        "the same command goes on from there",
                    )


def training_time(plans: Sequence[Plan]) -> float:
    """Seconds that the pending runs of plans will take, from a few steps of every stack."""
    device = use_device(plans[0].settings.device, plans[0].settings.threads)
    members = [member for plan in plans for member in members_of(plan, plan.pending())]
    alike: dict[tuple[str, ...], list[TrainingStack]] = {}
    for stack in _stacks(members, plans[0].settings.stack, device):
        alike.setdefault((*stack.members[0].stack_key, str(len(stack.members))), []).append(stack)
    return sum(stacks[0].estimate() * len(stacks) for stacks in alike.values())


def _say_skipped(plans: Sequence[Plan], skipped: int, talk: Talk) -> None:
    if skipped:
        whole = "all" if skipped == sum(len(plan.seeds) for plan in plans) else str(skipped)
        talk.say(f"{whole} runs already stored; force=true trains them again")


def _say_alone(members: Sequence[Member], talk: Talk) -> None:
    """Say which networks train one run at a time, and why; once for each reason."""
    told = [(member.plan.model[0], member.way) for member in members]
    for name, way in dict.fromkeys(told):
        if not way.seeded:
            talk.warn(f"model={name} {way.alone}: the same command will not give the same weights")
        elif way.alone and told.count((name, way)) > 1:
            talk.say(f"model={name} {way.alone}: its runs train one at a time")


def _stacks(members: Sequence[Member], limit: int | None, device: torch.device) -> Iterator[TrainingStack]:
    return (TrainingStack(together, device) for together in at_once(members, limit, device))


def at_once(members: Sequence[Member], limit: int | None, device: torch.device) -> Iterator[Sequence[Member]]:
    """Members that can train in step, as many at once as memory allows."""
    ordered = sorted(members, key=lambda member: member.stack_key)
    for _, same in groupby(ordered, key=lambda member: member.stack_key):
        together = list(same)
        most = limit or max(1, free_memory(device) // 2 // memory_of_run(together[0].plan))
        if together[0].way.alone or (together[0].convolutional and limit is None):
            most = 1
        for start in range(0, len(together), most):
            yield together[start : start + most]
