"""What a plan would take: time, disk and memory, found out without writing anything."""

from __future__ import annotations

from collections.abc import Mapping

from lmc.core.schema import frame
from lmc.jobs.planning.carrying_out import at_once, training_time
from lmc.jobs.planning.members import members_of, memory_of_run
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.outcome import Outcome
from lmc.summaries.summary import facts


def cost_of_training(plan: Plan) -> Outcome:
    """What is stored of a plan, what remains, and what that costs."""
    pending = plan.pending()
    parameters = sum(tensor.numel() for tensor in plan.initial_state(plan.seeds[0]).values())
    disk = 4 * parameters * len(plan.checkpoints) * len(pending) / 1e6
    seconds, most = 0.0, 0
    if pending:
        seconds = training_time([plan])
        device = use_device(plan.settings.device, plan.settings.threads)
        most = max(map(len, at_once(members_of(plan, pending), plan.settings.stack, device)))
    stored = [str(seed) for seed in plan.seeds if seed not in pending]
    return nothing_written(
        plan.experiment.name,
        plan.references(),
        {
            "stored seeds": " ".join(stored) or "none",
            "remaining seeds": " ".join(map(str, pending)) or "none",
            "epochs each": str(plan.training.epochs),
            "estimated seconds": f"{seconds:.0f}",
            "estimated disk MB": f"{disk:.3g}",
            "estimated memory MB": f"{memory_of_run(plan) * most / 1e6:.0f}",
            "weights per network": str(parameters),
        },
    )


def nothing_written(name: str, references: tuple[str, ...], told: Mapping[str, str]) -> Outcome:
    """Facts about an experiment that is not made now."""
    rows = [{"key": key, "value": value} for key, value in told.items()]
    table = frame("setting", [{"experiment": name, **row} for row in rows])
    summary = facts(name, rows, "nothing was written")
    return Outcome(main="setting", tables={"setting": table}, references=references, summaries=(summary,))
