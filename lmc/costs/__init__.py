"""Which functions a neuron can realise, and at what norm cost."""

from lmc.costs.coherence import anisotropy, bound
from lmc.costs.distance import Distance, class_distance, class_distances
from lmc.costs.mahalanobis import (
    Subspace,
    outside_range,
    principal_subspace,
    realisation_cost,
    swap_cost,
)
from lmc.costs.ridge import RidgeCost, ridge_cost

__all__ = [
    "Distance",
    "RidgeCost",
    "Subspace",
    "anisotropy",
    "bound",
    "class_distance",
    "class_distances",
    "outside_range",
    "principal_subspace",
    "realisation_cost",
    "ridge_cost",
    "swap_cost",
]
