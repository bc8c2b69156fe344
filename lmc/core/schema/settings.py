"""Settings of the commands that make a table another measurement of the same runs.

What a measurement is, is declared here and in the columns alone: rows that agree in their keys and in
these settings are one fact; rows that differ in either are two, and no mean is over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_ALL = "all"


@dataclass(frozen=True)
class Setting:
    """A setting that numbers of a table depend on, beside the runs.

    Args:
        name: the column that tells it.
        meaning: what it says of a row.
        usual: what the commands do that have no such setting, and what null means.
        columns: the only columns that depend on it; none named: all.
        rows: a column and the only values of it whose rows depend on it; None: all rows.
        needs: another setting, without which this one is without effect.
        finer: how two values compare: more ``points`` of a line or a larger ``sample`` is finer, and stands
            where both are there; None: neither is better.
        key: it among the settings of a command, or of its matcher; empty: its name.
        of_pairs: it is no setting, but read off the pairs of runs that a mean is over.
    """

    name: str
    meaning: str
    usual: Any = None
    columns: tuple[str, ...] = ()
    rows: tuple[str, tuple[str, ...]] | None = None
    needs: str | None = None
    finer: Literal["points", "sample"] | None = None
    key: str = ""
    of_pairs: Literal["over", "epochs"] | None = None

    def value(self, settings: Mapping[str, Any]) -> str:
        """What a job's settings say of it, as text; empty where it had no effect."""
        if self.needs is not None and not settings.get(self.needs):
            return ""
        matcher = settings.get("match")
        inner = matcher if isinstance(matcher, Mapping) else {}
        key = self.key or self.name
        found = settings.get(key, inner.get(key))
        found = self.usual if found is None else found
        return _points(found) if self.finer == "points" else as_text(found)

    def fineness(self, text: str) -> float:
        """How fine a value is: the number of points or of samples."""
        if text == _ALL:
            return float("inf")
        if text.startswith("["):
            return float(text.count(",") + 1)
        return float(text) if text.isdigit() else float("nan")


def as_text(value: Any) -> str:
    """A setting as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(as_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else "?" if value is None else str(value)


def _points(alphas: Any) -> str:
    """A count of equal steps however it was given, or the list."""
    if not isinstance(alphas, (list, tuple)):
        return as_text(alphas)
    points = sorted(set(map(float, alphas)))
    steps = len(points) - 1
    if steps > 0 and all(abs(point - place / steps) < 1e-9 for place, point in enumerate(points)):
        return str(len(points))
    return as_text(points)


_RIDGE = ("estimate", ("ridge",))
_MAHALANOBIS = ("estimate", ("mahalanobis",))

ALPHAS = Setting("alphas", "points of the line", finer="points")
RESTATISTICS = Setting("restatistics", "whether BatchNorm statistics were re-estimated", usual=True)
PATH_KIND = Setting("kind", "kind of path", usual="line")
RATIO = Setting("ratio", "share of variance of a layer's input subspace", usual=0.9)
NEURONS = Setting("neurons", "how many neurons of a layer were sampled", usual=_ALL, finer="sample")
TAU = Setting("tau", "threshold below which an exchange counts as cheap", usual=1.0)

COSTED = (
    Setting("ratio", RATIO.meaning, usual=0.9, rows=_MAHALANOBIS),
    Setting("outside", "cost of a function outside a slot's range", usual="infinite", rows=_MAHALANOBIS),
    Setting("activation", "whether ridge costs go through the activation", usual=False, rows=_RIDGE),
    Setting("fit_bias", "whether ridge costs fit the bias", usual=True, rows=_RIDGE),
    Setting("samples", "inputs behind ridge costs", usual=1024, rows=_RIDGE, needs="activation"),
    Setting(
        "pairs",
        "how many pairs of neurons were sampled",
        usual=_ALL,
        rows=_RIDGE,
        needs="activation",
        finer="sample",
    ),
    NEURONS,
)
"""Of costs of neurons, by either estimate."""

_COUNTED = ("not_converged",)
RECORDED = (
    RATIO,
    Setting(
        "neurons",
        NEURONS.meaning,
        usual=_ALL,
        columns=("outside_range", *_COUNTED),
        finer="sample",
    ),
    Setting("betas", "the betas over which failures are counted", columns=_COUNTED),
    Setting("fit_bias", "whether ridge costs fit the bias", usual=True, columns=_COUNTED),
    Setting("samples", "inputs behind ridge costs", usual=1024, columns=_COUNTED),
    Setting("pairs", "how many pairs of neurons were sampled", usual=_ALL, columns=_COUNTED, finer="sample"),
)
"""Of layers, which three commands record."""

_LINEAR = ("measure", ("linearisation_agreement", "linearisation_error"))
_TANGENT = ("measure", ("ntk_alignment", "ntk_distance"))
COURSE = (
    Setting("samples", "inputs of a split behind the linearisation", usual=1024, rows=_LINEAR),
    Setting("ntk_samples", "inputs of the tangent kernel", usual=32, rows=_TANGENT),
    Setting("ntk_outputs", "outputs of the tangent kernel", usual=10, rows=_TANGENT),
)
"""Of runs over their epochs."""

PREDICTED = (
    Setting("seeds", "seeds of the initialisations", usual=(0, 1)),
    RATIO,
    Setting("tau", TAU.meaning, usual=1.0, columns=("identifiable",)),
    Setting("neurons", "slots sampled for distances of classes", usual=24, columns=("class_distance",)),
)
"""Of what an initialisation says."""

JUDGED = (
    Setting("over", "the pairs of runs, by their seeds", of_pairs="over"),
    Setting("epochs", "the epochs of these runs", of_pairs="epochs"),
    Setting("split", "the split that losses are on", usual="test"),
    Setting(
        "limit", "barriers up to this share of what training gained count as none", usual=0.02, key="low"
    ),
    Setting("identifiable", "share of neurons from which on a network counts as identifiable", usual=0.9),
    ALPHAS,
)
"""Of a verdict, which is over several pairs of runs."""

STUDIED = (Setting("size", "size of the named experiment"), Setting("definition", "what differs in it"))
"""Of a named experiment."""
