"""Everything stored about some experiments as a page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from lmc.core.errors import LmcError
from lmc.core.schema import STORED, TABLES, frame
from lmc.core.splits import of_one_split
from lmc.core.tabulation import tabulate
from lmc.figures import FIGURES
from lmc.figures.report import (
    ClaimCard,
    Entry,
    Header,
    Page,
    Picture,
    Problem,
    Sheet,
    entry,
    inline,
    sheet,
)
from lmc.jobs.opening.rows import run_row
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.reporting import commands as repeat
from lmc.jobs.reporting import findings
from lmc.jobs.reporting.selection import Chosen, drawn, for_figure, short_names
from lmc.jobs.reporting.vocabulary import head_meanings
from lmc.store.experiments import Experiment, Run
from lmc.store.layout import Store
from lmc.store.records import Reproduce, RunInfo, Train
from lmc.summaries.runs import statuses

if TYPE_CHECKING:
    import pandas as pd

_SPLIT = "test"
_OF_CLAIMS = ("claim", "measure")


class StoredResults:
    """What a report is made from; a damaged file is a problem that the page tells, not the end of it."""

    def __init__(self, chosen: Chosen, named: bool, talk: Talk) -> None:
        self.talk = talk
        self.chosen = replace(chosen, skip=lambda error: self._tell(f"left out: {error}"))
        self.names = [each.name for each in chosen.experiments] if named else None
        self.problems: list[Problem] = []
        settled = {kind: self.chosen.table(kind) for kind in STORED if kind not in _OF_CLAIMS}
        self.tables = {kind: each.table for kind, each in settled.items()}
        self.notes = {kind: each.notes for kind, each in settled.items()}
        rows = []
        self.infos: dict[Run, RunInfo] = {}
        for run in chosen.epochs:
            try:
                rows.append(run_row(run))
                self.infos[run] = run.info()
            except LmcError as error:
                self._tell(f"{run.reference}: {error}")
        self.runs = frame("run", rows)
        self.experiments = list(dict.fromkeys(run.experiment for run in self.infos))
        self.states = dict(zip(self.infos, self.runs["status"], strict=True))

    def _tell(self, text: str) -> None:
        if text in [problem.text for problem in self.problems]:
            return
        self.problems.append(Problem(text))
        self.talk.warn(text)

    def page(self, references: Sequence[str]) -> Page:
        """The page, in the order in which it is read."""
        pairable = findings.pairable(self.states)
        claims = self._claims()
        differing, settings = findings.settings(self.experiments)
        commands, notes = self._commands([(folder, record) for _, folder, record in claims])
        problems = findings.problems(self.states, self.tables)
        made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
        count = f"{_count(len(self.experiments), 'experiment')}, {_count(len(self.runs), 'run')}"
        return Page(
            title="Report: " + (" ".join(references) if references else "all experiments"),
            subtitle=f"{count} under {self.chosen.outputs}",
            verdicts=findings.verdicts(self.tables["check"], pairable),
            claims=[each for each, _, _ in claims],
            tables=self._blocks(),
            more=self._more(references),
            figures=self._figures(),
            runs=self._runs(),
            differing=differing,
            settings=settings,
            commands=commands,
            command_notes=notes,
            problems=[*self.problems, *problems],
            footer=f"Written {made} by lmc {version('linear-mode-connectivity')}.",
        )

    def _claims(self) -> list[tuple[ClaimCard, Path, Reproduce]]:
        try:
            return findings.claims(self.chosen.outputs, self.names)
        except LmcError as error:
            self._tell(f"claims are left out: {error}")
            return []

    def _blocks(self) -> list[Sheet]:
        found = []
        for kind, table in self.tables.items():
            title = TABLES[kind].in_report
            if title is None:
                continue
            if len(table):
                table = of_one_split(table, _SPLIT)
                tabulated = tabulate(kind, table, short_names([table]), notes=self.notes[kind])
                found.append(sheet(title, tabulated, head_meanings(kind)))
        return found

    def _more(self, references: Sequence[str]) -> list[str]:
        """What is too long for a page, as the commands that print it."""
        return [
            f"{shlex.join(['lmc', 'table', kind, *references])} ({len(table)} rows)"
            for kind, table in self.tables.items()
            if len(table) and not TABLES[kind].apart and (TABLES[kind].in_report is None or "split" in table)
        ]

    def _figures(self) -> list[Picture]:
        found: list[Picture] = []
        for kind in FIGURES.values():
            if not len(self.tables[kind.tables[0]]):
                continue
            tables, notes = for_figure(self.chosen, kind, {})
            figure = drawn(kind, tables)
            if figure is not None:
                found.append(inline(figure, "; ".join([kind.title, *notes]), len(found)))
        return found

    def _runs(self) -> Sheet:
        names = ["experiment", "seed", "init seed", "order seed", "status", "epoch", "stored epochs"]
        numbers = ["test loss", "test accuracy", "seconds"]
        heads = [*map(Header, names), *(Header(each, True) for each in numbers)]
        heads += map(Header, ("device", "versions", "git commit"))
        rows = []
        for row, info in zip(self.runs.to_dict("records"), self.infos.values(), strict=True):
            versions = ", ".join(f"{key} {value}" for key, value in info.versions.items())
            own = [info.init_seed, info.order_seed]
            rows.append(
                [
                    *map(entry, (row["experiment"], row["seed"])),
                    *(Entry("–") if seed is None else entry(seed) for seed in own),
                    *map(entry, (row["status"], row["epoch"], row["stored"])),
                    *(entry(float(row[key])) for key in ("test_loss", "test_accuracy", "seconds")),
                    entry(info.device or "–"),
                    entry(versions or "–"),
                    entry(info.git_commit or "–"),
                ]
            )
        return Sheet("Runs, seeds and versions", heads, rows)

    def _commands(self, named: Sequence[tuple[Path, Reproduce]]) -> tuple[list[str], list[str]]:
        """Training first, then merges and jobs in the order they ended, then named experiments."""
        commands, notes = [], []
        makers = sorted(self.experiments, key=lambda each: each.kind, reverse=True)
        for experiment in makers:
            try:
                commands.append(repeat.of_experiment(experiment))
            except (LmcError, KeyError) as error:
                notes.append(f"{experiment.name}: the command cannot be reconstructed ({error})")
        for folder, record in repeat.jobs_of(Store(self.chosen.outputs), self.names):
            commands.append(repeat.of_job(folder, record))
        for folder, reproduced in named:
            line, exact = repeat.of_reproduce(reproduced)
            commands.append(line)
            if not exact:
                notes.append(f"{folder.name}: the experiment's definition has changed since it ran")
        if any(_is_started(each) for each in self.experiments):
            notes.append("Runs that start from others (start=) need these first.")
        return list(dict.fromkeys(commands)), notes

    def summary(self) -> pd.DataFrame:
        """Experiments with what the page has of each, for the terminal."""
        import pandas as pd

        check = self.tables["check"]
        verdict = {
            name: " or ".join(dict.fromkeys(part["verdict"]))
            for side in "ab"
            for name, part in check.groupby(f"experiment_{side}")
        }
        rows = []
        for name, part in self.runs.groupby("experiment", sort=False):
            rows.append({"experiment": name, "runs": statuses(part), "verdict": verdict.get(str(name), "-")})
        return pd.DataFrame(rows)


def _is_started(experiment: Experiment) -> bool:
    record = experiment.record()
    return isinstance(record, Train) and record.start is not None


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
