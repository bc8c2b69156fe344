"""Which functions a neuron can realise, and at what norm cost."""

from lmc.costs.coherence import anisotropy, bound
from lmc.costs.distance import Distance, class_distance, class_distances
from lmc.costs.layer import CostedLayer, mixed_layers, record_layers
from lmc.costs.mahalanobis import (
    Subspace,
    outside_range,
    principal_subspace,
    realisation_cost,
    swap_cost,
)
from lmc.costs.norms import activation_after, fixed_norm
from lmc.costs.ridge import RidgeCost, ridge_cost
from lmc.costs.swap import SwapCost, admissible, identifiable, off_diagonal

__all__ = [
    "CostedLayer",
    "Distance",
    "RidgeCost",
    "Subspace",
    "SwapCost",
    "activation_after",
    "admissible",
    "anisotropy",
    "bound",
    "class_distance",
    "class_distances",
    "fixed_norm",
    "identifiable",
    "mixed_layers",
    "off_diagonal",
    "outside_range",
    "principal_subspace",
    "realisation_cost",
    "record_layers",
    "ridge_cost",
    "swap_cost",
]
