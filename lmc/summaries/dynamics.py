"""What ``lmc dynamics`` says to people: one line per measure: means over pairs or runs with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.pairing import INTERVAL, pair_count
from lmc.core.series import BETWEEN, FIRST, PREVIOUS, WHOLE, over_epochs, series
from lmc.summaries.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

_EPOCHS = 4
# Heading: the quantity and its line (None: the mean over layers).
_PAIRS: dict[str, tuple[str, str | None]] = {
    "cosine of updates": ("update cosine", WHOLE),
    "distance": ("distance", WHOLE),
    "CKA (mean over layers)": ("CKA", None),
    "NTK alignment": ("NTK alignment", BETWEEN),
    "NTK distance": ("NTK distance", BETWEEN),
    "similarity, optimal (mean over layers)": ("objective", "optimal"),
    "similarity, identity": ("objective", "identity"),
    "similarity, random": ("objective", "random"),
    "identifiability ratio": ("identifiability ratio", None),
    "identifiable by cost": ("identifiable by cost", None),
    "swap cost / own cost": ("swap / own cost", None),
}
_RUNS: dict[str, tuple[str, str | None]] = {
    "distance from the first epoch": ("distance from the first", WHOLE),
    "CKA with the last (mean over layers)": ("CKA with the last", None),
    "NTK alignment with the first": ("NTK alignment", FIRST),
    "NTK alignment with the previous": ("NTK alignment", PREVIOUS),
    "linearised at the first: same predictions": ("linearisation agreement", FIRST),
    "linearised at the first: change missed": ("linearisation error", FIRST),
    "linearised at the previous: change missed": ("linearisation error", PREVIOUS),
}


def dynamics(tables: Mapping[str, pd.DataFrame], split: str) -> list[Summary]:
    """Per experiment, one line per measure with some of its epochs.

    Args:
        split: of predictions and barriers.
    """
    table = series(tables["dynamics"], tables["match"], tables["barrier"], split)
    return [_summary(str(name), part, split) for name, part in table.groupby("experiment", sort=False)]


def _summary(name: str, part: pd.DataFrame, split: str) -> Summary:
    import pandas as pd

    barriers = part[part["quantity"] == "barrier"]["line"].unique()
    headings: dict[str, tuple[str, str | None]] = {
        f"{split}: same predictions": ("agreement", split),
        **_PAIRS,
        **{f"{split} loss barrier, {match}": ("barrier", str(match)) for match in barriers},
        **_RUNS,
    }
    epochs = sorted(part["epoch"].unique())
    several = sorted({round(place * (len(epochs) - 1) / (_EPOCHS - 1)) for place in range(_EPOCHS)})
    some = [epochs[place] for place in several]
    rows = []
    for heading, (quantity, line) in headings.items():
        own = part[(part["quantity"] == quantity) & ((part["line"] == line) | (line is None))]
        found = dict(over_epochs(own))
        if found:
            cells = {f"epoch {epoch}": str(found.get(epoch, "-")) for epoch in some}
            rows.append({"": heading, "over": "runs" if heading in _RUNS else "pairs", **cells})
    runs = len(
        pd.concat(
            [part[[f"experiment_{side}", f"seed_{side}"]].set_axis([0, 1], axis=1) for side in "ab"]
        ).drop_duplicates()
    )
    pairs = part[(part["seed_a"] != part["seed_b"]) | (part["experiment_a"] != part["experiment_b"])]
    notes = [f"{pair_count(pairs)} of {runs} runs; {INTERVAL} over these"]
    if len(some) < len(epochs):
        notes.append(f"{len(some)} of {len(epochs)} epochs; all are in the tables and the figures")
    return Summary(name, pd.DataFrame(rows), tuple(notes))
