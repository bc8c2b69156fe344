"""``lmc import``: checkpoints that lmc did not train become the runs of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from lmc.jobs.opening.folders import store_of
from lmc.jobs.opening.rows import histories, run_table
from lmc.jobs.planning.dry_run import nothing_written
from lmc.jobs.planning.imports import ImportPlan, measure, plan_import, say_namesakes, store
from lmc.jobs.protocol.commands.running import Import
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.store.files import check_writable
from lmc.summaries import runs as words


def run(settings: Import, talk: Talk) -> Outcome:
    """Check every file, measure its network on the data, and store it; tables ``run`` and ``history``."""
    made = plan_import(settings)
    name = made.experiment.name
    made.announce(talk)
    pending = made.pending(settings.force)
    if settings.dry_run:
        return nothing_written(name, (name,), made.facts(pending))
    if len(pending) < len(made.runs):
        skipped = "all" if not pending else str(len(made.runs) - len(pending))
        talk.say(f"{skipped} runs already stored; force=true imports them again")
    if pending:
        _carry_out(made, pending, settings, talk)
    table, files = run_table(made.runs), [str(source.checkpoint.path) for source in made.sources]
    return Outcome(
        main="run",
        tables={"run": table, "history": histories(made.runs)},
        references=(name,),
        summaries=(words.runs(name, table, files),),
    )


def _carry_out(made: ImportPlan, pending: Sequence[int], settings: Import, talk: Talk) -> None:
    """Measure and store what is not there."""
    say_namesakes(made.experiment, store_of(settings), talk)
    check_writable(made.experiment.path)
    losses = measure(made, pending, use_device(settings.device, settings.threads))
    with ExitStack() as locks:
        for seed in pending:
            locks.enter_context(made.runs[seed].locked(waiting=talk.say))
        made.experiment.write(made.record, made.plan.constraint.tensors())
        for seed in pending:
            store(made.runs[seed], made.plan, made.sources[seed], losses[seed])
