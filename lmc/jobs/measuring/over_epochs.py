"""What is measured of runs over their stored epochs, checked before anything is computed (THEORY 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lmc.core.errors import LmcError, SettingError, raise_together
from lmc.core.schema import concatenate, frame
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import Matcher, unaligned_and
from lmc.jobs.aligning.pair import each_aligned
from lmc.jobs.measuring import kernels, trends
from lmc.jobs.measuring.course import Course, Row
from lmc.jobs.measuring.neurons import match_tables
from lmc.jobs.measuring.paths.line import Line, barrier_table
from lmc.jobs.opening.job import Job
from lmc.jobs.protocol.commands.measuring import Dynamics
from lmc.jobs.protocol.machine import free_memory
from lmc.jobs.protocol.talk import Bar, Talk
from lmc.models.stack import batch_norms
from lmc.symmetry import Groups

if TYPE_CHECKING:
    import pandas as pd


def open_courses(job: Job) -> list[Course]:
    """The runs of every set of a job over their epochs; raises LmcError with all faults."""
    settings: Dynamics = job.settings
    found, faults = [], []
    for pairs in job.sets:
        try:
            found.append(Course.open(pairs, settings.epochs, settings.layers, job.device))
        except LmcError as error:
            faults.append(error)
    raise_together(faults)
    for course in found:
        if len(course.epochs) == 2 and settings.epochs is None:
            name = course.pairs.runs[0].run.experiment.name
            job.talk.say(
                f"{name}: epochs {course.epochs[0]} and {course.epochs[1]} only; "
                "the same lmc train with training.checkpoints=5 stores every fifth"
            )
    return found


def measured(works: Sequence[OverEpochs], talk: Talk) -> dict[str, pd.DataFrame]:
    """The tables of all courses; those that were not asked for are empty."""
    rows: list[Row] = []
    parts: dict[str, list[pd.DataFrame]] = {"match": [], "path": []}
    with talk.progress("measuring", sum(work.steps for work in works)) as bar:
        for work in works:
            rows += work.rows(bar)
            for kind, table in work.aligned(bar):
                parts[kind].append(table)
    tables = {
        "dynamics": frame("dynamics", rows),
        **{kind: concatenate(kind, found) for kind, found in parts.items()},
    }
    return {**tables, "barrier": barrier_table(tables["path"])}


class OverEpochs:
    """What is to be measured of one course."""

    def __init__(self, course: Course, settings: Dynamics, matcher: Matcher, talk: Talk) -> None:
        self.course, self.settings, self.matcher, self.talk = course, settings, matcher, talk
        free = free_memory(course.device) / 2
        self.memory = free if settings.memory is None else settings.memory * 1e9
        self.splits = [name for name in settings.splits if len(course.split(name))]
        if not self.splits:
            there = ", ".join(name for name, part in course.pairs.dataset.splits.items() if len(part))
            raise SettingError(f"splits={settings.splits}: these splits are empty", f"there are: {there}")
        self.line = Line(settings, self.splits)
        aligned = "barrier" in settings.measures and not matcher.leaves
        self.groups = self._groups() if "objective" in settings.measures or aligned else Groups(())
        if "cka" in settings.measures:
            trends.cka_epochs(course, self.memory)
            if missing := trends.unrecorded(course):
                talk.say(f"no cka of {', '.join(missing)}: what they give cannot be recorded")
        name = course.pairs.runs[0].run.experiment.name
        if "ntk" in settings.measures:
            self.kernels = kernels.plan_kernels(
                course, settings.ntk_samples, settings.ntk_outputs, self.memory
            )
            talk.say(f"{name}: " + self.kernels.describe(kernels.count_parameters(course)))
        if "linearisation" in settings.measures and batch_norms(course.network):
            talk.say(f"{name}: linearised networks keep the running statistics of their own epoch")

    @property
    def shown(self) -> str:
        """The split that people see: test where it was asked for."""
        return "test" if "test" in self.splits else self.splits[0]

    @property
    def steps(self) -> int:
        """How often the bar advances: once per epoch and measure."""
        between = sum(name in ("updates", "linearisation") for name in set(self.settings.measures))
        return len(set(self.settings.measures)) * len(self.course.epochs) - between

    def _trends(self) -> Iterator[Iterator[list[Row]]]:
        course, wanted = self.course, self.settings.measures
        if "updates" in wanted:
            yield trends.update_rows(course)
        if "distance" in wanted:
            yield trends.distance_rows(course)
        if "agreement" in wanted:
            yield trends.agreement_rows(course, self.splits)
        if "cka" in wanted:
            yield trends.cka_rows(course, self.memory)
        if "linearisation" in wanted:
            yield trends.linearisation_rows(course, self.splits, self.settings.samples)
        if "ntk" in wanted:
            yield kernels.kernel_rows(course, self.kernels)

    def rows(self, bar: Bar) -> list[Row]:
        """Of the table ``dynamics``."""
        found = []
        for measure in self._trends():
            for rows in measure:
                found += rows
                bar.advance()
        return found

    def aligned(self, bar: Bar) -> Iterator[tuple[str, pd.DataFrame]]:
        """Tables ``match`` and ``path`` of every epoch."""
        wanted = {"objective", "barrier"} & set(self.settings.measures)
        for epoch in self.course.epochs if wanted else ():
            lineup = self._lineup(epoch, self.groups)
            if "objective" in wanted:
                yield "match", match_tables(lineup, self.matcher)["match"]
                bar.advance()
            if "barrier" in wanted:
                for pair in each_aligned([lineup], unaligned_and(self.matcher)):
                    yield "path", self.line.of(pair)["path"]
                bar.advance()

    def _lineup(self, epoch: int, groups: Groups | None = None) -> Lineup:
        return Lineup.of(self.course.at(epoch), self.course.device, self.talk, given=groups)

    def _groups(self) -> Groups:
        """What permutes; nothing where that cannot be found, as the unaligned line does not need it."""
        lineup = self._lineup(self.course.epochs[-1])
        try:
            return lineup.groups
        except LmcError as error:
            if not self.matcher.leaves or set(self.settings.measures) == {"objective"}:
                raise
            self.talk.warn(f"{lineup.runs[0].run.experiment.name}: no matching objective, {error}")
            return Groups(())
