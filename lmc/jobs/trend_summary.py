"""What ``lmc dynamics`` says to people: a line an epoch, means over pairs or runs with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.statistics import estimate
from lmc.figures.dynamics import BETWEEN, FIRST, PAIR, PREVIOUS, WHOLE, series
from lmc.jobs.outcome import Summary
from lmc.jobs.pairing import INTERVAL, pair_count, run_pairs

if TYPE_CHECKING:
    import pandas as pd

_Columns = Mapping[str, tuple[str, str | None]]
# Heading: the quantity and its line (None: the mean over layers).
_BETWEEN: _Columns = {
    "update cosine": ("update cosine", WHOLE),
    "distance": ("distance", WHOLE),
    "CKA": ("CKA", None),
    "NTK alignment": ("NTK alignment", BETWEEN),
    "NTK distance": ("NTK distance", BETWEEN),
}
_OVER: _Columns = {
    "distance from the first": ("distance from the first", WHOLE),
    "CKA with the last": ("CKA with the last", None),
    "NTK alignment with the first": ("NTK alignment", FIRST),
    "with the previous": ("NTK alignment", PREVIOUS),
}
_LINEAR: _Columns = {
    "at the first: agreement": ("linearisation agreement", FIRST),
    "missed": ("linearisation error", FIRST),
    "at the previous: agreement": ("linearisation agreement", PREVIOUS),
    "missed there": ("linearisation error", PREVIOUS),
}
_NEURONS: _Columns = {
    "optimal": ("objective", "optimal"),
    "identity": ("objective", "identity"),
    "random": ("objective", "random"),
    "identifiability ratio": ("identifiability ratio", None),
    "identifiable by cost": ("identifiable by cost", None),
    "swap / own cost": ("swap / own cost", None),
}


def summaries(tables: Mapping[str, pd.DataFrame], split: str) -> list[Summary]:
    """Per experiment: between runs, each run over time, its linearisation, and the neurons with the barrier.

    Args:
        split: of predictions and barriers.
    """
    table = series(tables["dynamics"], tables["match"], tables["barrier"], split)
    found = []
    for name, part in table.groupby("experiment", sort=False):
        aligned = part[part["quantity"] == "barrier"]["line"].unique()
        barriers = {
            f"{split} barrier" + ("" if each == "none" else f", {each}"): ("barrier", str(each))
            for each in aligned
        }
        agreement = {f"{split} agreement": ("agreement", split)}
        found += [
            _lines(f"{name}: between runs", part, {**agreement, **_BETWEEN}, over="pairs"),
            _lines(f"{name}: each run over time", part, _OVER, over="runs"),
            _lines(f"{name}: linearised, {split} split", part, _LINEAR, over="runs"),
            _lines(f"{name}: neurons and loss barrier", part, {**_NEURONS, **barriers}, over="pairs"),
        ]
    return [summary for summary in found if len(summary.table)]


def _lines(title: str, part: pd.DataFrame, headings: _Columns, over: str) -> Summary:
    import pandas as pd

    wanted = {
        heading: part[(part["quantity"] == quantity) & ((part["line"] == line) | (line is None))]
        for heading, (quantity, line) in headings.items()
    }
    wanted = {heading: own for heading, own in wanted.items() if own["value"].notna().any()}
    if not wanted:
        return Summary(title, pd.DataFrame())
    used = pd.concat(list(wanted.values()))
    rows = []
    for epoch in sorted(used["epoch"].unique()):
        row = {"epoch": str(epoch)}
        for heading, own in wanted.items():
            at = own[own["epoch"] == epoch]
            means = at.groupby(PAIR, sort=False, as_index=False)["value"].mean()
            row[heading] = str(estimate(means["value"], run_pairs(means) if over == "pairs" else None))
        rows.append(row)
    runs = len(used[["experiment_a", "seed_a"]].drop_duplicates())
    several = pair_count(used) if over == "pairs" else f"{runs} run{'s' if runs != 1 else ''}"
    notes = [f"{several}; {INTERVAL.replace('pairs', over)}"]
    layered = [name for name in wanted if headings[name][1] is None or headings[name][0] == "objective"]
    if layered:
        notes.append(f"means over layers: {', '.join(layered)}")
    return Summary(title, pd.DataFrame(rows), tuple(notes))
