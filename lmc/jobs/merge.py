"""``lmc merge``: one network out of several, itself a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lmc.core.schema import frame
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.aligning.merging import MergedRuns, check_mergeable, merge_runs
from lmc.jobs.opening.folders import store_of
from lmc.jobs.opening.rows import run_table
from lmc.jobs.opening.runs import Opened, open_runs
from lmc.jobs.planning.merges import merged_as
from lmc.jobs.protocol.choices import Choice
from lmc.jobs.protocol.commands.running import Merge
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.store import files, matchings, records
from lmc.store.experiments import Run
from lmc.store.provenance import provenance
from lmc.summaries import runs as words


def run(settings: Merge, talk: Talk) -> Outcome:
    """Match all runs, merge them, store the result.

    Tables ``history``, and ``projection`` where the merger keeps to the class of the runs.
    """
    matcher, merger = Matcher.bind(settings.match), Choice.bind("merge", settings.merge)
    sets = open_runs(settings.outputs, settings.references, settings.trust)
    runs = [opened for group in sets for opened in group]
    check_mergeable(runs, settings.mixed)
    experiment, record = merged_as(settings, runs, matcher.choice, merger)
    target = experiment.run(0)
    if target.status() == "done" and not settings.force:
        talk.say(f"{experiment.name} is already stored; force=true merges again")
        return _outcome(target)
    files.check_writable(experiment.path)
    lineup = _line_up(settings, runs, matcher, talk)
    merged = merge_runs(lineup, matcher, merger, settings.restatistics, talk)
    with target.locked(waiting=talk.say):
        _store(target, replace(record, constraint_digest=merged.constraint.digest()), runs[0], merged)
        matchings.save(experiment.path, lineup.to_store)
    return _outcome(target)


def _line_up(settings: Merge, runs: Sequence[Opened], matcher: Matcher, talk: Talk) -> Lineup:
    """All runs, each compared with the first, or with all others."""
    dataset = runs[0].data(settings.data)
    return Lineup(
        runs,
        matcher.needs.pairs(len(runs)),
        dataset,
        runs[0].network(dataset),
        use_device(settings.device, settings.threads),
        talk,
        store_of(settings).root,
    )


def _store(target: Run, record: records.Merge, first: Opened, made: MergedRuns) -> None:
    which = {"experiment": target.experiment.name, "seed": target.seed, "epoch": 0}
    history = [{**which, **row} for row in made.losses]
    target.clear()
    target.experiment.write(record, made.constraint.tensors())
    files.write_tensors(target.checkpoint(0), made.merged.state)
    files.write_table(target.path / "history.parquet", frame("history", history))
    if made.before is not None:
        before = [{**which, "projected": False, **row} for row in made.before]
        after = [{**row, "projected": True} for row in history]
        files.write_table(_price(target), frame("projection", [*before, *after]))
    target.write_info(
        status="done",
        model=first.info.model,
        seed=target.seed,
        constraint_digest=made.constraint.digest(),
        **provenance(),
    )


def _price(target: Run) -> Path:
    return target.experiment.path / "projection.parquet"


def _outcome(target: Run) -> Outcome:
    table, name = run_table([target]), target.experiment.name
    tables, summaries = {"history": target.history(), "run": table}, [words.runs(name, table)]
    if _price(target).is_file():
        tables["projection"] = files.read_table(_price(target))
        summaries.append(words.projection(tables["projection"]))
    return Outcome(main="history", tables=tables, references=(name,), summaries=tuple(summaries))
