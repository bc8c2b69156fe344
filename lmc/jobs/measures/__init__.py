"""What a named experiment measures on its runs: one file each, a line in ``MEASURES``."""

from __future__ import annotations

from collections.abc import Callable

from lmc.jobs.measures.barriers import barriers
from lmc.jobs.measures.coherence import coherence
from lmc.jobs.measures.dynamics import dynamics
from lmc.jobs.measures.measured import Measured
from lmc.jobs.measures.prediction import prediction
from lmc.jobs.measures.ridge import ridge
from lmc.jobs.measures.swap_costs import swap_costs

__all__ = ["MEASURES", "Measured"]

MEASURES: dict[str, Callable[..., Measured]] = {
    "barriers": barriers,
    "coherence": coherence,
    "swap_costs": swap_costs,
    "prediction": prediction,
    "ridge": ridge,
    "dynamics": dynamics,
}
