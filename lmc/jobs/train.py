"""``lmc train``: independent runs, trained together, stored, resumed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch

from lmc.core.errors import Interrupted
from lmc.core.tables import concatenate, frame
from lmc.jobs.listing import run_row
from lmc.jobs.opening.data import use_device
from lmc.jobs.planning.plan import Plan, make_plan
from lmc.jobs.planning.stack import Member, TrainingStack, memory_of_run
from lmc.jobs.planning.stopping import stoppable
from lmc.jobs.protocol.outcome import Outcome
from lmc.summaries import Summary
from lmc.jobs.protocol.settings import Train
from lmc.jobs.protocol.talk import Talk
from lmc.store.files import check_writable

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Train, talk: Talk) -> Outcome:
    """Train the runs of one experiment, or say what that would take (``dry_run``)."""
    plan = make_plan(settings)
    if settings.dry_run:
        return _dry_run(plan, talk)
    train([plan], talk)
    table = run_table([plan])
    return Outcome(
        main="run",
        tables={"run": table, "history": _history([plan])},
        references=plan.references(),
        summaries=(summary(plan.experiment.name, table),),
        objective=float(table["val_loss"].mean()),
    )


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
            Member(plan, seed)
            for plan, seed in wanted
            if settings.force or not plan.finished(plan.experiment.run(seed))
        ]
        _say_skipped(plans, len(wanted) - len(members), talk)
        if not members:
            return
        for plan in plans:
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
    members = [Member(plan, seed) for plan in plans for seed in plan.pending()]
    alike: dict[tuple[str, ...], list[TrainingStack]] = {}
    for stack in _stacks(members, plans[0].settings.stack, device):
        alike.setdefault((*stack.members[0].stack_key, str(len(stack.members))), []).append(stack)
    return sum(stacks[0].estimate() * len(stacks) for stacks in alike.values())


def readable_time(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds > 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{max(1, round(seconds))} seconds"


def _say_skipped(plans: Sequence[Plan], skipped: int, talk: Talk) -> None:
    if skipped:
        whole = "all" if skipped == sum(len(plan.seeds) for plan in plans) else str(skipped)
        talk.say(f"{whole} runs already stored; force=true trains them again")


def _stacks(members: Sequence[Member], limit: int | None, device: torch.device) -> Iterator[TrainingStack]:
    return (TrainingStack(together, device) for together in _at_once(members, limit, device))


def _at_once(
    members: Sequence[Member], limit: int | None, device: torch.device
) -> Iterator[Sequence[Member]]:
    """Members that can train in step, as many at once as memory allows."""
    ordered = sorted(members, key=lambda member: member.stack_key)
    for _, same in groupby(ordered, key=lambda member: member.stack_key):
        together = list(same)
        most = limit or max(1, free_memory(device) // 2 // memory_of_run(together[0].plan))
        if together[0].random or (together[0].convolutional and limit is None):
            most = 1
        for start in range(0, len(together), most):
            yield together[start : start + most]


def free_memory(device: torch.device) -> int:
    """Bytes free on the device that computes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def run_table(plans: Sequence[Plan]) -> pd.DataFrame:
    """The table ``run`` of all planned runs that are stored."""
    return frame("run", [run_row(plan.experiment.run(seed)) for plan in plans for seed in plan.seeds])


def _history(plans: Sequence[Plan]) -> pd.DataFrame:
    return concatenate(
        "history", [plan.experiment.run(seed).history() for plan in plans for seed in plan.seeds]
    )


def summary(title: str, runs: pd.DataFrame) -> Summary:
    """The runs as a person reads them."""
    import pandas as pd

    shown = pd.DataFrame(
        {"run": runs["seed"].astype(str), "status": runs["status"], "epoch": runs["epoch"].astype(str)}
    )
    for split in ("train", "val", "test"):
        shown[f"{split} loss"] = [f"{value:.4f}" for value in runs[f"{split}_loss"]]
        if runs[f"{split}_accuracy"].notna().any():
            shown[f"{split} accuracy"] = [f"{value:.2%}" for value in runs[f"{split}_accuracy"]]
    if runs["seconds"].notna().any():
        shown["seconds"] = [f"{value:.1f}" for value in runs["seconds"]]
    return Summary(title, shown)


def _dry_run(plan: Plan, talk: Talk) -> Outcome:
    import pandas as pd

    pending = plan.pending()
    parameters = sum(tensor.numel() for tensor in plan.initial_state(plan.seeds[0]).values())
    disk = 4 * parameters * len(plan.checkpoints) * len(pending) / 1e6
    seconds, most = 0.0, 0
    if pending:
        seconds = training_time([plan])
        device = use_device(plan.settings.device, plan.settings.threads)
        members = [Member(plan, seed) for seed in pending]
        most = max(map(len, _at_once(members, plan.settings.stack, device)))
    rows: list[dict[str, Any]] = [
        {
            "key": "stored seeds",
            "value": " ".join(str(seed) for seed in plan.seeds if seed not in pending) or "none",
        },
        {"key": "remaining seeds", "value": " ".join(map(str, pending)) or "none"},
        {"key": "epochs each", "value": str(plan.training.epochs)},
        {"key": "estimated seconds", "value": f"{seconds:.0f}"},
        {"key": "estimated disk MB", "value": f"{disk:.3g}"},
        {"key": "estimated memory MB", "value": f"{memory_of_run(plan) * most / 1e6:.0f}"},
        {"key": "weights per network", "value": str(parameters)},
    ]
    table = frame("setting", [{"experiment": plan.experiment.name, **row} for row in rows])
    shown = pd.DataFrame(rows).rename(columns={"key": "", "value": " "})
    return Outcome(
        main="setting",
        tables={"setting": table},
        references=plan.references(),
        summaries=(Summary(plan.experiment.name, shown, ("nothing was written",)),),
    )
