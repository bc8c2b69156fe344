"""Every table's columns, declared once: name, type and meaning.

Tables are tidy: one fact a row, the first columns say which runs. ``frame`` is the only way to make one,
so a table read back, printed or collected always has these columns, in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd


Role = Literal[
    "key",  # says what a row is of; rows that differ in it are compared
    "block",  # the same, but numbers are compared where it agrees
    "along",  # a block that is the coordinate of a curve
    "run",  # which run: averaged over, with an interval
    "unit",  # which part of a run: averaged over within a run
    "quantity",  # names what the row's mean is of
    "text",  # words that follow from the numbers
    "value",  # measured
    "mean",  # measured and averaged already, as are the next three
    "low",
    "high",
    "pairs",
]

_ROLES: dict[Role, str] = {
    "block": "split layer group estimate beta measure since tau delta",
    "along": "alpha",
    "run": "seed seed_a seed_b",
    "unit": "slot neuron partner neuron_a neuron_b",
    "quantity": "quantity detail",
    "text": "verdict certain numbers holds",
    "value": "neurons identifiable identified mutual fixed_points constant_a constant_b admissible inputs "
    "dimension",
    "mean": "mean",
    "low": "low",
    "high": "high",
    "pairs": "pairs",
}
ROLES: dict[str, Role] = {name: role for role, names in _ROLES.items() for name in names.split()}
"""What a column of this name is for in a table of means; others are values if float, else keys."""

Direction = Literal["low", "high"]

_BEST: dict[Direction, str] = {
    "low": "loss loss_barrier loss_barrier_max midpoint_barrier accuracy_barrier relative_accuracy_drop "
    "barrier barrier_none barrier_activation barrier_identifiability relative_none relative_activation "
    "relative_identifiability cross_term additivity_gap feature_gap feature_cosine",
    "high": "accuracy similarity identifiability_ratio identifiable identified relative_swap_cost",
}
BEST: dict[str, Direction] = {name: end for end, names in _BEST.items() for name in names.split()}
"""Which end of a quantity is best; of others neither is."""


@dataclass(frozen=True)
class Column:
    """One column: ``dtype`` is ``str``, ``int64``, ``float64`` or ``bool``."""

    name: str
    dtype: str
    meaning: str

    @property
    def role(self) -> Role:
        """What it is for in a table of means."""
        return ROLES.get(self.name, "value" if self.dtype == "float64" else "key")


def _columns(dtype: str, **meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, dtype, meaning) for name, meaning in meanings.items())


RUN = (
    Column("experiment", "str", "name of the experiment"),
    Column("seed", "int64", "seed of the run"),
    Column("epoch", "int64", "stored epoch"),
)
PAIR = tuple(
    Column(f"{column.name}_{side}", column.dtype, f"{column.meaning}, run {side.upper()}")
    for side in "ab"
    for column in RUN
)
_MATCH = Column("match", "str", "matcher that aligned B to A")
_SPLIT = Column("split", "str", "train, val or test")
_GROUP = (
    _MATCH,
    Column("group", "str", "permutation group, named after its first owning module"),
    Column("layer", "str", "the module's name in the model"),
)
_ESTIMATE = (
    Column("estimate", "str", "mahalanobis or ridge"),
    Column("beta", "float64", "of the ridge estimate; NaN for mahalanobis"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "check": (
        PAIR[0],
        PAIR[3],
        Column("verdict", "str", "needs no alignment, needs alignment, or not linearly mergeable"),
        Column("certain", "bool", "whether the interval, or every pair, lies on one side of the threshold"),
        Column("quantity", "str", "what was measured"),
        Column("layer", "str", "where the largest was measured; * is the whole network"),
        *_columns("float64", mean="over pairs", low="end of the interval", high="end of the interval"),
        Column("pairs", "int64", "of runs"),
    ),
    "experiment": (
        Column("experiment", "str", "a named experiment"),
        Column("title", "str", "what it is about"),
        Column("data", "str", "that it needs"),
        *_columns("int64", cases="trained", runs="in all cases", claims="that it states"),
    ),
    "estimate": (
        Column("case", "str", "of the named experiment"),
        *RUN,
        Column("layer", "str", "the module's name in the model"),
        *_ESTIMATE,
        *_columns(
            "float64",
            own_cost="mean over neurons",
            swap_cost="mean over pairs",
            relative_swap_cost="swap cost over what the two neurons cost",
            spearman="rank correlation with the swap costs by mahalanobis, over pairs of neurons",
        ),
    ),
    "symmetry": (
        Column("model", "str", "name of the model, or of the experiment"),
        Column("group", "str", "permutation group, named after its first owning module"),
        Column("neurons", "int64", "that permute together"),
        Column("blocks", "int64", "of equal size, which permutations respect; 1: none"),
        Column("inner", "bool", "whether neurons also permute inside their block"),
        Column("family", "str", "groups of one family move their blocks alike"),
        Column("tensor", "str", "that the neurons lie in"),
        Column("axis", "int64", "of the tensor"),
        Column("copies", "int64", "how often every neuron lies on the axis"),
    ),
    "fixed": (
        Column("model", "str", "name of the model, or of the experiment"),
        Column("tensor", "str", "one of its tensors"),
        Column("axis", "int64", "that no permutation moves"),
        Column("reason", "str", "the operation that fixes it"),
    ),
    "history": (
        *RUN,
        Column("split", "str", "train (exact, at stored epochs), train_running, val or test"),
        *_columns(
            "float64",
            loss="mean loss",
            accuracy="mean accuracy; NaN for regression",
            learning_rate="of the epoch's last step",
            seconds="since the run's training began, its stack's wall clock",
        ),
    ),
    "projection": (
        *RUN,
        _SPLIT,
        Column("projected", "bool", "whether the merged network was kept in the class of its runs"),
        *_columns("float64", loss="mean loss", accuracy="mean accuracy; NaN for regression"),
    ),
    "run": (
        *RUN,
        Column("status", "str", "running, interrupted, diverged or done"),
        *_columns(
            "float64",
            train_loss="at the last epoch",
            val_loss="at the last epoch",
            test_loss="at the last epoch",
            train_accuracy="at the last epoch",
            val_accuracy="at the last epoch",
            test_accuracy="at the last epoch",
            seconds="wall clock of the stack it trained in",
            megabytes="on disk",
        ),
        Column("stored", "str", "stored epochs"),
    ),
    "path": (
        *PAIR,
        _MATCH,
        _SPLIT,
        *_columns(
            "float64",
            alpha="weight of B, THEORY's l",
            loss="mean loss",
            accuracy="mean accuracy",
        ),
    ),
    "barrier": (
        *PAIR,
        _MATCH,
        _SPLIT,
        *_columns(
            "float64",
            loss_barrier="max_l [L(l) - ((1-l) L(0) + l L(1))]",
            loss_barrier_max="max_l L(l) - max(L(0), L(1))",
            midpoint_barrier="L(1/2) - mean(L(0), L(1)); NaN where 1/2 was not scanned",
            accuracy_barrier="max_l [(1-l) A(0) + l A(1) - A(l)]",
            relative_accuracy_drop="(max(A(0), A(1)) - min_l A(l)) / max(A(0), A(1))",
            alpha_of_max="the l of loss_barrier",
        ),
    ),
    "representation": (
        *PAIR,
        _MATCH,
        Column(
            "layer",
            "str",
            "behind which hidden states are averaged; output is the logit ensemble, input the line itself",
        ),
        Column("head", "str", "whose weights go on: a, b, or mean, the weight average"),
        Column("alpha", "float64", "weight of B, THEORY's l, in the states and in the weight average"),
        _SPLIT,
        *_columns("float64", loss="mean loss", accuracy="mean accuracy; NaN for regression"),
    ),
    "gap": (
        *PAIR,
        _MATCH,
        _SPLIT,
        Column("layer", "str", "the module's name in the model"),
        *_columns(
            "float64",
            alpha="weight of B, THEORY's l",
            cross_term="E||l (1-l) (W_A - W_B)(h_A - h_B)||^2 over the mean output's square",
            additivity_gap="E||phi_m of the mean output - mean of phi||^2 over the latter's square",
            feature_gap="E||h of the line - mean of h||^2 over the mean square of h_A and h_B",
            feature_cosine="mean of 1 - cos of h of the line and mean of h",
        ),
    ),
    "match": (
        *PAIR,
        *_GROUP,
        Column("neurons", "int64", "number of neurons"),
        *_columns(
            "float64",
            similarity="mean similarity along the matcher's permutation",
            optimal="along the best permutation",
            identity="along the identity",
            random="mean over 100 random permutations",
            random_sd="their standard deviation",
            identifiability_ratio="(identity - random) / (optimal - random); NaN where optimal = random",
        ),
        Column("identifiable", "int64", "neurons identifiable by cost"),
        Column("fixed_points", "int64", "neurons the matcher leaves in place"),
        Column("constant_a", "int64", "constant units of A (similarity 0)"),
        Column("constant_b", "int64", "constant units of B (similarity 0)"),
        Column("identified", "int64", "neurons identified in fact: each the other's most similar"),
        *_columns(
            "float64",
            swap_cost="mean Delta over unequal neurons and both runs; NaN where undefined",
            own_cost="mean C[i, i] over both runs; NaN where undefined",
        ),
    ),
    "neuron": (
        *PAIR,
        *_GROUP,
        Column("neuron", "int64", "slot i of A"),
        Column("partner", "int64", "the neuron of B that the matcher puts there"),
        *_columns(
            "float64",
            similarity="of neuron and partner",
            identity_similarity="of neuron i of A and neuron i of B",
            margin="identity_similarity minus the runner-up in its row and column",
        ),
        Column("mutual", "bool", "neuron and partner are each other's most similar"),
        Column("admissible", "int64", "other neurons it could cheaply be exchanged with"),
        *_columns(
            "float64",
            swap_cost_a="cheapest exchange in A",
            swap_cost_b="cheapest exchange in B",
        ),
        Column("identifiable", "bool", "no cheap exchange: identifiable by cost"),
        Column("identified", "bool", "identified in fact: margin > 0"),
    ),
    "layer": (
        *RUN,
        Column("layer", "str", "the module's name in the model"),
        Column("inputs", "int64", "inputs per neuron, d"),
        Column("dimension", "int64", "of the input subspace, k"),
        *_columns(
            "float64",
            explained_variance="by the subspace",
            coherence="max_r ||U_r||^2",
            anisotropy_mean="mean over slots; NaN where not asked for",
            anisotropy_max="largest over slots; NaN where not asked for",
            outside_range="pairs whose function is outside the slot's range; NaN where not computed",
            not_converged="ridge costs above the gradient tolerance; NaN where there are none",
        ),
    ),
    "cost": (
        *RUN,
        Column("layer", "str", "the module's name in the model"),
        *_ESTIMATE,
        Column("slot", "int64", "i, whose D and f are used"),
        Column("neuron", "int64", "j, whose function is realised"),
        *_columns(
            "float64",
            cost="C[i, j] or r(i <- j)",
            data_term="its error on the data; NaN for mahalanobis",
            norm_term="its squared norm",
        ),
    ),
    "swap": (
        *RUN,
        Column("layer", "str", "the module's name in the model"),
        *_ESTIMATE,
        Column("neuron_a", "int64", "i"),
        Column("neuron_b", "int64", "j > i"),
        Column("swap_cost", "float64", "Delta[i, j]"),
    ),
    "anisotropy": (
        *RUN,
        Column("layer", "str", "the module's name in the model"),
        Column("slot", "int64", "i"),
        Column("anisotropy", "float64", "||S_i - p I||"),
    ),
    "bound": (
        *RUN,
        Column("layer", "str", "the module's name in the model"),
        *_columns(
            "float64",
            delta="probability allowed to a slot above the bound",
            bound="on the anisotropy (THEORY 3)",
            share_within="share of slots at or below it",
        ),
    ),
    "distance": (
        *RUN,
        Column("layer", "str", "the module's name in the model"),
        Column("neuron_a", "int64", "i"),
        Column("neuron_b", "int64", "j > i"),
        *_columns(
            "float64", distance="Hausdorff distance of the classes", lower_bound="certified lower bound"
        ),
    ),
    "dynamics": (
        *PAIR,
        Column(
            "measure",
            "str",
            "between two runs at an epoch, or one run at two: update_cosine, distance, agreement, cka, "
            "ntk_alignment, ntk_distance, linearisation_agreement, linearisation_error (A is linearised)",
        ),
        Column("layer", "str", "the module's name in the model; * is the whole network"),
        Column("split", "str", "train, val or test; - for what weights alone say"),
        *_columns(
            "float64",
            since="epoch that both runs' updates count from; NaN for other measures",
            value="the cosine, norm or share",
        ),
    ),
    "prediction": (
        RUN[0],
        Column("layer", "str", "the module's name in the model"),
        *_columns(
            "float64",
            coherence="of the inputs' subspace at initialisation",
            anisotropy_mean="over slots",
            class_distance="mean over sampled pairs of slots",
            swap_cost="mean Delta of functions drawn from the initialisation",
            own_cost="mean C[i, i] of these",
            relative_swap_cost="mean Delta[i, j] / (C[i, i] + C[j, j])",
            identifiable="expected share of neurons identifiable by cost",
        ),
    ),
    "tau": (
        *PAIR,
        _MATCH,
        *_columns(
            "float64",
            tau="what counts as a cheap exchange",
            share_moved="of all neurons",
            loss_barrier="on the test split after matching so",
        ),
    ),
    "claim": (
        Column("experiment", "str", "named experiment"),
        Column("claim", "str", "what the paper says"),
        Column("numbers", "str", "what was measured"),
        Column("holds", "bool", "whether it does"),
    ),
    "measure": (
        Column("case", "str", "case of the experiment"),
        Column("quantity", "str", "what was measured"),
        Column("detail", "str", "layer or matcher"),
        *_columns("float64", mean="over pairs", low="2.5 % bootstrap", high="97.5 % bootstrap"),
        Column("pairs", "int64", "number of values"),
    ),
    "figure": (
        Column("figure", "str", "kind of figure"),
        Column("experiment", "str", "shown in it"),
        Column("rows", "int64", "of the stored table that are drawn"),
        Column("file", "str", "that it was written to"),
    ),
    "setting": (
        Column("experiment", "str", "name of the experiment"),
        Column("key", "str", "dotted key"),
        Column("value", "str", "its value"),
    ),
}


def columns(kind: str) -> list[str]:
    """The column names of a table."""
    return [column.name for column in TABLES[kind]]


def frame(kind: str, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> pd.DataFrame:
    """A table of the declared columns and types; a missing float is NaN.

    Args:
        rows: one mapping a row; or one mapping of columns, where a single value stands for all rows.

    Raises:
        KeyError: an undeclared column, or one that is not a float is missing.
    """
    import pandas as pd

    declared = {column.name: column for column in TABLES[kind]}
    exact = {column.name for column in TABLES[kind] if column.dtype != "float64"}
    if isinstance(rows, Mapping):
        given: Mapping[str, Any] = rows
        length = max(
            (len(value) for value in rows.values() if not isinstance(value, (str, float, int))), default=1
        )
    else:
        listed = list(rows)
        names = {name for row in listed for name in row}
        given = {name: [row.get(name, float("nan")) for row in listed] for name in names}
        length = len(listed)
        lacking = {name for name in names for row in listed if name not in row}
        given = {name: value for name, value in given.items() if name not in lacking or name not in exact}
    extra = given.keys() - declared.keys()
    if extra:
        raise KeyError(f"table {kind} has no column {', '.join(sorted(extra))}")
    missing = [name for name in declared if length and name not in given and name in exact]
    if missing:
        raise KeyError(f"table {kind} lacks {', '.join(missing)}")
    index = pd.RangeIndex(length)
    data = {
        name: pd.Series(given.get(name, float("nan") if length else []), index=index, dtype=column.dtype)
        for name, column in declared.items()
    }
    return pd.DataFrame(data, columns=list(declared))


def concatenate(kind: str, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of one kind as one; an empty table with the declared columns when there are none."""
    import pandas as pd

    listed = [table for table in frames if len(table)]
    return pd.concat(listed, ignore_index=True) if listed else frame(kind, [])


def nearest_middle(table: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """The alpha of a table that is nearest to 1/2, and the rows at it."""
    alphas = table["alpha"].drop_duplicates().sort_values()
    alpha = float(alphas.iloc[int((alphas - 0.5).abs().round(9).to_numpy().argmin())])
    return alpha, table[table["alpha"] == alpha]


MADE_BY = {
    "history": "lmc train",
    "path": "lmc path",
    "barrier": "lmc path",
    "representation": "lmc path kind=representation",
    "gap": "lmc path gap=true",
    "check": "lmc check",
    "match": "lmc match",
    "neuron": "lmc match",
    "layer": "lmc match",
    "cost": "lmc cost",
    "swap": "lmc cost",
    "distance": "lmc cost",
    "anisotropy": "lmc coherence",
    "bound": "lmc coherence",
    "dynamics": "lmc dynamics",
    "prediction": "lmc predict",
    "tau": "lmc match",
    "projection": "lmc merge",
    "claim": "lmc reproduce",
    "measure": "lmc reproduce",
}
