"""One command at work: what it was told, the runs it is about, and where its results go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lmc.figures.writing import save
from lmc.jobs.opening.folders import job_folder, pair_folder, store_of
from lmc.jobs.opening.pairs import PairSet, pair_sets
from lmc.jobs.opening.runs import Opened, open_runs
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.store import matchings, records, results
from lmc.store.files import check_writable
from lmc.store.matchings import StoredMatching
from lmc.summaries import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Job:
    """A command over stored runs, checked at the door.

    Attributes:
        runs: all of them, in the order in which they were referred to.
        sets: of a command over pairs, the runs within which pairs were formed.
        folder: of its results; it can be written.
    """

    command: str
    settings: Any
    talk: Talk
    runs: Sequence[Opened]
    folder: Path
    record: records.Job
    device: torch.device
    sets: Sequence[PairSet] = field(default=())

    @property
    def outputs(self) -> Path:
        """The outputs folder."""
        return store_of(self.settings).root

    def finish(
        self,
        tables: dict[str, pd.DataFrame],
        main: str,
        summaries: Sequence[Summary],
        figures: Mapping[str, Figure | None] | None = None,
        matched: Sequence[StoredMatching] = (),
    ) -> Outcome:
        """Store the tables, the matchings and the figures, and hand back what people see.

        Args:
            main: the table that is printed as data.
            figures: by file name; None where there is nothing to draw.
        """
        results.write(self.folder, self.record, tables)
        matchings.save(self.folder, matched)
        files = []
        for name, figure in (figures or {}).items():
            if figure is not None:
                files.append(self.folder / f"{name}.png")
                save(figure, files[-1])
        where = str(self.folder)
        return Outcome(
            main=main,
            tables=tables,
            references=(where,),
            summaries=tuple(summaries),
            files=(*map(str, files), where),
        )


def open_pairs(command: str, settings: Any, talk: Talk) -> Job:
    """A job over pairs of runs.

    Raises:
        LmcError: a reference, a pair or the folder of the results is at fault; all pairs' faults together.
    """
    sets = pair_sets(settings, talk)
    return _open(command, settings, talk, [opened for pairs in sets for opened in pairs.runs], sets)


def open_each(command: str, settings: Any, talk: Talk) -> Job:
    """A job over runs one by one.

    Raises:
        LmcError: a reference or the folder of the results is at fault.
    """
    sets = open_runs(settings.outputs, settings.references, settings.trust)
    return _open(command, settings, talk, [opened for runs in sets for opened in runs])


def _open(
    command: str, settings: Any, talk: Talk, runs: Sequence[Opened], sets: Sequence[PairSet] = ()
) -> Job:
    folder, record = pair_folder(command, settings, sets) if sets else job_folder(command, settings, runs)
    check_writable(folder)
    device = use_device(settings.device, settings.threads)
    return Job(command, settings, talk, runs, folder, record, device, sets)
