"""Which split is shown where only one can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_ORDER = ("test", "val", "train")


def common_split(table: pd.DataFrame, wanted: str) -> str:
    """The split that is shown: the wanted one, or else the first of test, val and train.

    Of a table of several experiments one that all of them have, if there is one; else one that most have.

    Args:
        table: with a column ``split``; ``experiment`` or ``experiment_a`` and ``experiment_b`` tell whose.
    """
    if table.empty:
        return wanted
    sides = [name for name in ("experiment", "experiment_a", "experiment_b") if name in table]
    there = table[[*sides, "split"]].drop_duplicates()["split"].value_counts()
    order = dict.fromkeys([wanted, *_ORDER, *there.index])
    return max((split for split in order if split in there), key=lambda split: int(there[split]))


def of_one_split(table: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """The rows of the wanted split; of an experiment that lacks it, those of its ``common_split``."""
    import pandas as pd

    if "split" not in table or table.empty:
        return table
    sides = [name for name in ("experiment", "experiment_a", "experiment_b") if name in table]
    parts = [own[own["split"] == common_split(own, wanted)] for _, own in table.groupby(sides, sort=False)]
    return pd.concat(parts)
