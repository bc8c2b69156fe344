"""``lmc dynamics``: how runs part or stay together while they train (THEORY 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from lmc.core.errors import LmcError, SettingError, raise_together
from lmc.core.tables import concatenate, frame
from lmc.figures import dynamics as figure
from lmc.figures import objective
from lmc.figures.writing import save
from lmc.jobs.aligning.lineup import Lineup, Matcher
from lmc.jobs.match import match_tables
from lmc.jobs.measuring import kernels as tangents
from lmc.jobs.measuring import trends
from lmc.jobs.measuring.course import Course, Row
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.folders import pair_folder
from lmc.jobs.opening.pairs import pair_sets
from lmc.jobs.path import alpha_list, barrier_table, scan_pair, unaligned_and
from lmc.jobs.protocol.outcome import Bar, Outcome, Talk
from lmc.jobs.protocol.settings import Dynamics
from lmc.jobs.reporting.trend_summary import summaries
from lmc.jobs.train import free_memory
from lmc.models.stack import batch_norms
from lmc.store import results
from lmc.store.files import check_writable
from lmc.symmetry import Groups

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Dynamics, talk: Talk) -> Outcome:
    """Measure every pair over its epochs; tables ``dynamics``, ``match``, ``path`` and ``barrier``."""
    device = use_device(settings.device, settings.threads)
    courses = _open(settings, device, talk)
    works = [Work(course, settings, talk) for course in courses]
    folder, record = pair_folder("dynamics", settings, [course.pairs for course in courses])
    check_writable(folder)
    tables = measured(works, talk)
    main = next((kind for kind in ("dynamics", "match") if len(tables[kind])), "barrier")
    results.write(folder, record, {kind: table for kind, table in tables.items() if len(table)})
    split = works[0].shown
    drawn = {"dynamics": figure.draw(tables["dynamics"], tables["match"], tables["barrier"], split)}
    if len(tables["match"]) or len(tables["barrier"]):
        drawn["objective"] = objective.draw(tables["match"], tables["barrier"], split)
    files = [folder / f"{name}.png" for name in drawn]
    for each, file in zip(drawn.values(), files, strict=True):
        save(each, file)
    written = tuple(map(str, [*files, folder]))
    return Outcome(main, tables, (str(folder),), tuple(summaries(tables, split)), written)


def measured(works: Sequence[Work], talk: Talk) -> dict[str, pd.DataFrame]:
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


def _open(settings: Dynamics, device: torch.device, talk: Talk) -> list[Course]:
    found, faults = [], []
    for pairs in pair_sets(settings, talk):
        try:
            found.append(Course.open(pairs, settings.epochs, settings.layers, device))
        except LmcError as error:
            faults.append(error)
    raise_together(faults)
    for course in found:
        if len(course.epochs) == 2 and settings.epochs is None:
            name = course.pairs.runs[0].run.experiment.name
            talk.say(
                f"{name}: epochs {course.epochs[0]} and {course.epochs[1]} only; "
                "the same lmc train with training.checkpoints=5 stores every fifth"
            )
    return found


class Work:
    """What is to be measured of one course, checked before anything is computed."""

    def __init__(self, course: Course, settings: Dynamics, talk: Talk) -> None:
        self.course, self.settings, self.talk = course, settings, talk
        self.matcher, self.alphas = Matcher.bind(settings.match), alpha_list(settings.alphas)
        free = free_memory(course.device) / 2
        self.memory = free if settings.memory is None else settings.memory * 1e9
        if not settings.measures:
            raise SettingError("measures=[]: nothing to measure", "leave it out for all measures")
        self.splits = [name for name in settings.splits if len(course.split(name))]
        if not self.splits:
            there = ", ".join(name for name, part in course.pairs.dataset.splits.items() if len(part))
            raise SettingError(f"splits={settings.splits}: the data have none of them", f"there are: {there}")
        self.groups = Groups(())
        aligned = "barrier" in settings.measures and self.matcher.choice.name != "none"
        if "objective" in settings.measures or aligned:
            self.groups = self._groups(course.pairs.lineup(self.matcher, course.device, talk))
        if "cka" in settings.measures:
            trends.cka_epochs(course, self.memory)
        name = course.pairs.runs[0].run.experiment.name
        if "ntk" in settings.measures:
            self.kernels = tangents.plan_kernels(
                course, settings.ntk_samples, settings.ntk_outputs, self.memory
            )
            talk.say(f"{name}: " + self.kernels.describe(tangents.count_parameters(course)))
        if "linearisation" in settings.measures and batch_norms(course.network):
            talk.say(f"{name}: linearised networks keep the running statistics of their own epoch")

    @property
    def shown(self) -> str:
        """The split that people see: test where it was asked for."""
        return "test" if "test" in self.splits else self.splits[0]

    @property
    def steps(self) -> int:
        """How often the bar advances: once an epoch and measure."""
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
            yield tangents.kernel_rows(course, self.kernels)

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
            lineup = self.course.at(epoch).lineup(self.matcher, self.course.device, self.talk)
            lineup.groups = self.groups
            if "objective" in wanted:
                yield "match", match_tables(lineup)["match"]
                bar.advance()
            if "barrier" in wanted:
                for a, b in lineup.pairs:
                    for matcher in unaligned_and(self.matcher):
                        yield "path", scan_pair(lineup, a, b, matcher, self.alphas, None, self.splits)
                bar.advance()

    def _groups(self, lineup: Lineup) -> Groups:
        """What permutes; nothing where that cannot be found, as the unaligned line needs it not."""
        try:
            return lineup.groups
        except LmcError as error:
            if self.matcher.choice.name != "none" or set(self.settings.measures) == {"objective"}:
                raise
            self.talk.say(f"warning: {lineup.runs[0].run.experiment.name}: no matching objective, {error}")
            return Groups(())
