"""Stored runs that a training starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from lmc.core.errors import SettingError
from lmc.jobs.opening.folders import store_of
from lmc.jobs.protocol.commands.running import Train
from lmc.store.experiments import Run, at_epoch
from lmc.store.identity import hash_of, stem_of


@dataclass(frozen=True)
class Start:
    """Runs to start from: one for all seeds, or the run of the same seed."""

    reference: str
    runs: Mapping[int, tuple[Run, int]]
    single: tuple[Run, int] | None

    @classmethod
    def of(cls, settings: Train) -> Start | None:
        """What ``start=`` stands for.

        Raises:
            LmcError: nothing, several experiments, or an epoch that was never stored.
        """
        if settings.start is None:
            return None
        selections = store_of(settings).resolve(settings.start)
        if len(selections) > 1:
            raise SettingError(
                f"start={settings.start}: stands for {len(selections)} experiments", "name one"
            )
        (selection,) = selections
        epochs = {run.seed: (run, at_epoch(run, selection.epoch)) for run in selection.runs}
        single = None if selection.whole and len(epochs) > 1 else next(iter(epochs.values()))
        return cls(settings.start, epochs, single)

    def check(self, seeds: Sequence[int]) -> None:
        """Refuse seeds that it has no run for."""
        lacking = [] if self.single else [seed for seed in seeds if seed not in self.runs]
        if lacking:
            raise SettingError(
                f"start={self.reference}: has no run {lacking[0]} to start seed {lacking[0]} from"
            )

    @property
    def stem(self) -> str:
        """What a name says of it."""
        return stem_of(self.reference.partition("@")[0].rpartition("train/")[2]).replace("/", ".")

    def state(self, seed: int) -> dict[str, Tensor]:
        """The weights that the run of ``seed`` starts from."""
        run, epoch = self.single or self.runs[seed]
        return run.state(epoch)

    def digest(self) -> str:
        """What the weights hash to; for an experiment its name's hash and epoch, as it has a run a seed."""
        if self.single is None:
            run, epoch = next(iter(self.runs.values()))
            return f"{hash_of(run.experiment.name)}@{epoch}"
        run, epoch = self.single
        return hashlib.sha256(run.checkpoint(epoch).read_bytes()).hexdigest()[:16]
