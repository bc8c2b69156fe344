"""The tables of ``lmc dynamics`` as lines over epochs: what is drawn, and what is printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.ratios import relative_swap_cost
from lmc.core.splits import common_split
from lmc.core.statistics import Estimate, estimate, paired

if TYPE_CHECKING:
    import pandas as pd

_RUNS = ["experiment_a", "seed_a", "experiment_b", "seed_b"]
PAIR = ["experiment_a", "seed_a", "epoch_a", "experiment_b", "seed_b", "epoch_b"]
WHOLE = "all weights"
FIRST, PREVIOUS, BETWEEN = "the first epoch", "the previous epoch", "the other run"


def series(
    dynamics: pd.DataFrame, match: pd.DataFrame, barrier: pd.DataFrame, split: str = "test"
) -> pd.DataFrame:
    """Columns experiment, quantity, line, epoch and value, with the two networks of each value.

    ``line`` is a layer, a split, a matcher, or the epoch or run that is compared with.

    Args:
        dynamics, match, barrier: the tables of these names; any may be empty.
        split: of linearisation and barriers; another, if the tables lack it (``common_split``).
    """
    import pandas as pd

    found = [_between(dynamics), _over(dynamics, split), _neurons(match)]
    own = barrier[barrier["split"] == common_split(barrier, split)]
    found.append(_as("barrier", own, own["match"], own["loss_barrier"], own["epoch_b"]))
    table = pd.concat([part for part in found if len(part)] or found[:1], ignore_index=True)
    both = zip(table["experiment_a"], table["experiment_b"], strict=True)
    named = table.assign(experiment=[" and ".join(dict.fromkeys(names)) for names in both])
    return whole_courses(named, ["experiment", "quantity", "line"], _RUNS)


def whole_courses(table: pd.DataFrame, line: list[str], runs: list[str]) -> pd.DataFrame:
    """Of each line over epochs the runs, or pairs, that are there at most of them: a mean changes no members.

    Args:
        line: columns that name a line; ``epoch`` is its coordinate.
        runs: columns that name a run or a pair.
    """
    if table.empty:
        return table
    count = table.groupby([*line, *runs])["epoch"].transform("nunique")
    most = count.groupby([table[name] for name in line]).transform("max")
    return table[count == most]


def _between(dynamics: pd.DataFrame) -> pd.DataFrame:
    """Two runs at an epoch."""
    import pandas as pd

    part = _shortest(dynamics[~_same_run(dynamics)])
    names = {
        "update_cosine": "update cosine",
        "distance": "distance",
        "agreement": "agreement",
        "cka": "CKA",
        "ntk_alignment": "NTK alignment",
        "ntk_distance": "NTK distance",
    }
    line = part["layer"].replace("*", WHOLE)
    line = line.where(part["measure"] != "agreement", part["split"])
    line = line.where(~part["measure"].str.startswith("ntk"), BETWEEN)
    table = _as(part["measure"].map(names), part, line, part["value"], part["epoch_b"])
    return pd.DataFrame(table)


def _over(dynamics: pd.DataFrame, split: str) -> pd.DataFrame:
    """A run at two epochs; what is of the first epoch may be of the previous one too."""
    import pandas as pd

    part = dynamics[_same_run(dynamics)]
    linear = part["measure"].str.startswith("linearisation")
    part = part[~linear | (part["split"] == common_split(part[linear], split))]
    layer = part["layer"].replace("*", WHOLE)
    of_run = [part[name] for name in ("measure", *_RUNS[:2])]
    near = (part["measure"] == "distance") & (
        part["epoch_a"] == part["epoch_a"].groupby(of_run).transform("min")
    )
    far = (part["measure"] == "cka") & (part["epoch_b"] == part["epoch_b"].groupby(of_run).transform("max"))
    found = [
        _as("distance from the first", part[near], layer[near], part["value"][near], part["epoch_b"][near]),
        _as("CKA with the last", part[far], layer[far], part["value"][far], part["epoch_a"][far]),
    ]
    rest = part[~part["measure"].isin(["distance", "cka"])]
    names = rest["measure"].str.replace("_", " ").str.replace("ntk", "NTK")
    runs = rest.groupby(["experiment_a", "seed_a"])
    first = rest["epoch_a"] == runs["epoch_a"].transform("min")
    latest = rest.groupby(["experiment_a", "seed_a", "epoch_b"])["epoch_a"].transform("max")
    previous = (rest["epoch_a"] == latest) & (rest["epoch_b"] > runs["epoch_b"].transform("min"))
    for line, rows in ((FIRST, first), (PREVIOUS, previous)):
        chosen = rest[rows]
        found.append(_as(names[rows], chosen, line, chosen["value"], chosen["epoch_b"]))
    return pd.concat([table for table in found if len(table)] or found[:1])


def _shortest(part: pd.DataFrame) -> pd.DataFrame:
    """Of updates up to an epoch those since the latest one, which are the finest steps."""
    latest = part.groupby(["experiment_a", "experiment_b", "measure", "epoch_b"])["since"].transform("max")
    return part[part["since"].isna() | (part["since"] == latest)]


def _neurons(match: pd.DataFrame) -> pd.DataFrame:
    """The matching objective over all layers; per layer the measures of whether neurons are identifiable."""
    import pandas as pd

    costed = match["own_cost"] > 0
    relative = relative_swap_cost(match["swap_cost"], match["own_cost"], match["own_cost"])
    values: Mapping[str, pd.Series[float]] = {
        "identifiability ratio": match["identifiability_ratio"],
        "swap / own cost": relative.where(costed),
        "identifiable by cost": (match["identifiable"] / match["neurons"]).where(costed),
    }
    found = [
        _as("objective", match, along, match[along], match["epoch_b"])
        for along in ("optimal", "identity", "random")
    ]
    found += [_as(name, match, match["layer"], value, match["epoch_b"]) for name, value in values.items()]
    return pd.concat(found)


def _as(
    quantity: str | pd.Series[str],
    part: pd.DataFrame,
    line: str | pd.Series[str],
    value: pd.Series[float],
    epoch: pd.Series[int],
) -> pd.DataFrame:
    return part[PAIR].assign(quantity=quantity, line=line, epoch=epoch, value=value)


def _same_run(table: pd.DataFrame) -> pd.Series[bool]:
    return (table["experiment_a"] == table["experiment_b"]) & (table["seed_a"] == table["seed_b"])


def over_epochs(part: pd.DataFrame) -> list[tuple[int, Estimate]]:
    """Of one line of ``series``: its mean at each epoch over pairs, or over runs where each is by itself.

    What several layers have at one epoch is averaged within each pair first. Epochs without a value are
    left out.
    """
    means = part.groupby([*PAIR, "epoch"], sort=False, as_index=False)[["value"]].mean()
    found = []
    for epoch, at in means.groupby("epoch"):
        found.append((int(str(epoch)), estimate(at["value"], paired(at))))
    return [(epoch, value) for epoch, value in found if value.values]
