"""What a named experiment measures on its runs: one file each, a line in ``MEASURES``."""

from __future__ import annotations

from collections.abc import Callable

from lmc.jobs.studies.barriers import barriers
from lmc.jobs.studies.coherence import coherence
from lmc.jobs.studies.dynamics import dynamics
from lmc.jobs.studies.measured import Measured
from lmc.jobs.studies.prediction import prediction
from lmc.jobs.studies.ridge import ridge
from lmc.jobs.studies.swap_costs import swap_costs

__all__ = ["MEASURES", "Measured"]

MEASURES: dict[str, Callable[..., Measured]] = {
    "barriers": barriers,
    "coherence": coherence,
    "swap_costs": swap_costs,
    "prediction": prediction,
    "ridge": ridge,
    "dynamics": dynamics,
}
