"""``lmc train``: independent runs, trained together, stored, resumed."""

from __future__ import annotations

from lmc.jobs.opening.data import tell
from lmc.jobs.opening.rows import histories, run_table
from lmc.jobs.planning.carrying_out import train
from lmc.jobs.planning.dry_run import cost_of_training
from lmc.jobs.planning.plan import make_plan
from lmc.jobs.protocol.commands.running import Train
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.summaries import runs as words


def run(settings: Train, talk: Talk) -> Outcome:
    """Train the runs of one experiment, or say what that would take (``dry_run``)."""
    plan = make_plan(settings)
    tell(plan.dataset, talk)
    if settings.dry_run:
        return cost_of_training(plan)
    train([plan], talk)
    table = run_table(plan.runs)
    return Outcome(
        main="run",
        tables={"run": table, "history": histories(plan.runs)},
        references=plan.references(),
        summaries=(words.runs(plan.experiment.name, table),),
        objective=float(table["val_loss"].mean()),
    )
