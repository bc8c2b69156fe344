"""All kinds of table, in the order in which a report shows them and their figures."""

from __future__ import annotations

from lmc.core.schema.layers import ANISOTROPY, BOUND, COST, DISTANCE, ESTIMATES, LAYERS, PREDICTION, SWAP
from lmc.core.schema.pairs import (
    BARRIER,
    CHECK,
    DYNAMICS,
    GAP,
    MATCHED,
    NEURON_BY_NEURON,
    PATH,
    REPRESENTATION,
    TAU,
)
from lmc.core.schema.runs import (
    CLAIM,
    EXPERIMENTS,
    EXPLANATION,
    FIGURE,
    FIXED,
    HISTORY,
    MEASURE,
    PROJECTION,
    RUNS,
    SETTING,
    SYMMETRY,
)
from lmc.core.schema.table import Table

_ORDER = (
    *(CHECK, BARRIER, PATH, GAP, REPRESENTATION),
    *(MATCHED, NEURON_BY_NEURON, LAYERS, PROJECTION, TAU, BOUND, ANISOTROPY),
    *(ESTIMATES, COST, SWAP, DISTANCE, DYNAMICS, HISTORY, PREDICTION, CLAIM, MEASURE),
    *(EXPERIMENTS, RUNS, SYMMETRY, FIXED, FIGURE, SETTING, EXPLANATION),
)
TABLES: dict[str, Table] = {table.kind: table for table in _ORDER}
STORED = {kind: table for kind, table in TABLES.items() if table.made_by}
"""Those that a command stores, and others read."""
