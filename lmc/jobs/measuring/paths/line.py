"""Losses on the straight line between two networks, and the barriers on it (THEORY 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lmc import paths
from lmc.core.schema import columns, frame
from lmc.figures import path as figure
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.pair import Aligned
from lmc.jobs.measuring.ends import scan_between
from lmc.jobs.measuring.pairwise import Tables, alpha_list
from lmc.paths.scene import Scene
from lmc.summaries import Summary
from lmc.summaries.barriers import barriers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Points(Protocol):
    """The points of a path, however a command names the rest of its settings."""

    @property
    def alphas(self) -> int | list[float]:
        """A count, or a list that holds 0 and 1."""


class Line:
    """The tables ``path`` and ``barrier``; a bent path is a subclass with another ``way``."""

    main = "barrier"

    def __init__(self, settings: Points, splits: Sequence[str] | None = None) -> None:
        self.alphas = alpha_list(settings.alphas)
        self.restatistics: bool | None = getattr(settings, "restatistics", None)
        self.splits = splits

    def check(self, lineup: Lineup) -> None:
        """Nothing of the network is chosen."""

    def way(self, pair: Aligned) -> Scene:
        """The points that are evaluated, and on which data."""
        return pair.scene(self.alphas, self.restatistics, self.splits)

    def of(self, pair: Aligned) -> Tables:
        """The table ``path`` of one aligned pair; raises MismatchError where an end is not its run."""
        rows = [
            {**pair.which, "split": split, "alpha": alpha, "loss": loss, "accuracy": accuracy}
            for split, (losses, accuracies) in scan_between(pair, self.way(pair)).items()
            for alpha, loss, accuracy in zip(self.alphas, losses.tolist(), accuracies.tolist(), strict=True)
        ]
        return {"path": frame("path", rows)}

    def derived(self, tables: Tables) -> Tables:
        """The barriers of all pairs."""
        return {"barrier": barrier_table(tables["path"])}

    def figures(self, tables: Tables) -> dict[str, Figure | None]:
        """Loss against alpha."""
        return {"path": figure.draw(tables["path"])}

    def summaries(self, tables: Tables) -> list[Summary]:
        """Every barrier."""
        return barriers(tables["barrier"])


def barrier_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table ``barrier`` of a table ``path``."""
    keys = [name for name in columns("path") if name not in ("alpha", "loss", "accuracy")]
    rows: list[dict[str, Any]] = []
    for values, part in table.groupby(keys, sort=False):
        points = part.sort_values("alpha")
        found = paths.barriers(*(points[name].to_numpy() for name in ("alpha", "loss", "accuracy")))
        rows.append({**dict(zip(keys, values, strict=True)), **found})
    return frame("barrier", rows)
