"""How runs part or stay together over their stored epochs: small multiples of every measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from lmc.core.statistics import estimate
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIR = ["experiment_a", "seed_a", "epoch_a", "experiment_b", "seed_b", "epoch_b"]
WHOLE = "all weights"
FIRST, PREVIOUS, LAST, BETWEEN = "the first epoch", "the previous epoch", "the last epoch", "the other run"

_DASHES = ("-", (0, (6, 3)), (0, (1.5, 3)))
_COLUMNS = 4
# From so many layers on, colours run with depth and the legend names three of them.
_MANY = 7
# Quantity, the title of its panel, the line that stands for an experiment (None: their mean), its limits.
_PANELS: tuple[tuple[str, str, str | None, tuple[float | None, float | None]], ...] = (
    ("update cosine", "updates of two runs: cosine", WHOLE, (None, 1.02)),
    ("distance", "distance of two runs", WHOLE, (0, None)),
    ("distance from the first", "distance from the first epoch", WHOLE, (0, None)),
    ("agreement", "same predictions on", None, (0, 1.02)),
    ("CKA", "CKA of two runs", None, (0, 1.02)),
    ("CKA with the last", "CKA with the last epoch", None, (0, 1.02)),
    ("NTK alignment", "NTK: alignment with", BETWEEN, (0, 1.02)),
    ("linearisation error", "share missed, linearised at", PREVIOUS, (0, None)),
    ("objective", "similarity along", "identity", (None, None)),
    ("identifiability ratio", "identifiability ratio", None, (None, 1.05)),
    ("swap / own cost", "swap cost over own cost", None, (None, None)),
    ("barrier", "loss barrier, aligned by", "none", (None, None)),
)

_LAYERED = (
    "distance",
    "distance from the first",
    "update cosine",
    "CKA",
    "CKA with the last",
    "swap / own cost",
)


def draw(dynamics: pd.DataFrame, match: pd.DataFrame, barrier: pd.DataFrame, split: str = "test") -> Figure:
    """A panel a measure over epochs: mean, and its interval over pairs or runs (or the range of the values).

    Of one experiment a line for each layer, with that of all weights in black; of several a line each.

    Args:
        dynamics, match, barrier: the tables of these names; any may be empty.
        split: of predictions and barriers; the first there is, if the tables lack it.
    """
    from matplotlib.figure import Figure

    table = series(dynamics, match, barrier, split).dropna(subset="value")
    several = table["experiment"].nunique() > 1
    shown = [panel for panel in _PANELS if (table["quantity"] == panel[0]).any()]
    layers = list(dict.fromkeys(table[table["quantity"].isin(_LAYERED)]["line"])) if not several else []
    with style():
        columns = min(len(shown), _COLUMNS) or 1
        height = -(-len(shown) // _COLUMNS) or 1
        figure = Figure(figsize=(0.8 + 2.9 * columns, 0.5 + 2.4 * height))
        axes = figure.subplots(height, columns, sharex=True, squeeze=False)
        for (quantity, title, main, limits), place in zip(shown, axes.flat, strict=False):
            part = table[table["quantity"] == quantity]
            if several:
                main = _shown(dynamics, split) if quantity == "agreement" else main
                part = part if main is None else part[part["line"] == main]
                part = part.assign(line=part["experiment"])
                title = f"{title} {main}" if main and main != WHOLE else title
            _curves(place, part, layers if set(part["line"]) & set(layers) else [])
            place.set_title(title, wrap=True)
            bottom, top = limits
            place.set_ylim(min(0, place.get_ylim()[0]) if bottom is None else bottom, top)
            place.xaxis.set_tick_params(labelbottom=True)
            if not several:
                place.legend(fontsize=6, handlelength=1.4)
        for place in axes.flat[len(shown) :]:
            place.set_visible(False)
        for place in axes.flat[max(0, len(shown) - columns) : len(shown)]:
            place.set_xlabel("epoch")
        if several and shown:
            figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center")
        elif shown:
            figure.suptitle(str(table["experiment"].iloc[0]), fontsize=9)
    return figure


def _curves(place: Axes, part: pd.DataFrame, layers: Sequence[str]) -> None:
    """Lines with bands; a layer looks the same in every panel."""
    lines = list(dict.fromkeys(part["line"]))
    looks = _looks([name for name in layers or lines if name != WHOLE])
    for line in lines:
        curve = part[part["line"] == line]
        means = curve.groupby([*PAIR, "epoch"], sort=False, as_index=False)["value"].mean()
        points = [(epoch, estimate(at["value"])) for epoch, at in means.groupby("epoch")]
        points = [(epoch, point) for epoch, point in points if point.values]
        if not points:
            continue
        colour, dashes, label = looks.get(line, ("black", "-", str(line)))
        epochs = [epoch for epoch, _ in points]
        place.plot(
            epochs,
            [point.mean for _, point in points],
            color=colour,
            linestyle=dashes,
            linewidth=2.2 if line == WHOLE else 1.5,
            marker="o",
            markersize=2.5,
            label=label,
            zorder=3 if line == WHOLE else 2,
        )
        ends = [
            (point.low, point.high) if point.low == point.low else (min(point.values), max(point.values))
            for _, point in points
        ]
        low, high = zip(*ends, strict=True)
        place.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)


def _looks(lines: Sequence[str]) -> dict[str, tuple[Any, Any, str]]:
    """Colour, dashes and label; a label with an underscore is left out of legends."""
    import matplotlib

    if len(lines) < _MANY:
        colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
        return {
            line: (colour, dashes, line)
            for line, colour, dashes in zip(lines, cycle(colours[:-1]), cycle(_DASHES), strict=False)
        }
    shades = matplotlib.colormaps["viridis"]
    last = len(lines) - 1
    named = {0, last // 2, last}
    return {
        line: (shades(0.95 * index / last), "-", line if index in named else f"_{line}")
        for index, line in enumerate(lines)
    }


def series(
    dynamics: pd.DataFrame, match: pd.DataFrame, barrier: pd.DataFrame, split: str = "test"
) -> pd.DataFrame:
    """What is drawn and summarised: quantity, line, epoch and value, with the two networks of each value.

    ``line`` is a layer, a split, a matcher, or the epoch or run that is compared with.
    """
    import pandas as pd

    found = [_between(dynamics), _over(dynamics, split), _neurons(match)]
    own = barrier[barrier["split"] == _shown(barrier, split)]
    found.append(_as("barrier", own, own["match"], own["loss_barrier"], own["epoch_b"]))
    table = pd.concat([part for part in found if len(part)] or found[:1], ignore_index=True)
    both = zip(table["experiment_a"], table["experiment_b"], strict=True)
    return table.assign(experiment=[" and ".join(dict.fromkeys(names)) for names in both])


def _between(dynamics: pd.DataFrame) -> pd.DataFrame:
    """Two runs at an epoch."""
    import pandas as pd

    part = dynamics[~_same_run(dynamics)]
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
    part = part[~linear | (part["split"] == _shown(part[linear], split))]
    layer = part["layer"].replace("*", WHOLE)
    near, far = part["measure"] == "distance", part["measure"] == "cka"
    found = [
        _as("distance from the first", part[near], layer[near], part["value"][near], part["epoch_b"][near]),
        _as("CKA with the last", part[far], layer[far], part["value"][far], part["epoch_a"][far]),
    ]
    rest = part[~near & ~far]
    names = rest["measure"].str.replace("_", " ").str.replace("ntk", "NTK")
    runs = rest.groupby(["experiment_a", "seed_a"])
    first = rest["epoch_a"] == runs["epoch_a"].transform("min")
    latest = rest.groupby(["experiment_a", "seed_a", "epoch_b"])["epoch_a"].transform("max")
    previous = (rest["epoch_a"] == latest) & (rest["epoch_b"] > runs["epoch_b"].transform("min"))
    for line, rows in ((FIRST, first), (PREVIOUS, previous)):
        chosen = rest[rows]
        found.append(_as(names[rows], chosen, line, chosen["value"], chosen["epoch_b"]))
    return pd.concat([table for table in found if len(table)] or found[:1])


def _neurons(match: pd.DataFrame) -> pd.DataFrame:
    """The matching objective over all layers; layer by layer what says whether neurons are identifiable."""
    import pandas as pd

    costed = match["own_cost"] > 0
    values: Mapping[str, pd.Series[float]] = {
        "identifiability ratio": match["identifiability_ratio"],
        "swap / own cost": (match["swap_cost"] / match["own_cost"]).where(costed),
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


def _shown(table: pd.DataFrame, split: str) -> str:
    return split if table.empty or (table["split"] == split).any() else str(table["split"].iloc[0])
