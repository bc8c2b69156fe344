"""Which functions a neuron can realise, and at what norm cost."""

from lmc.costs.mahalanobis import Subspace, principal_subspace, realisation_cost, swap_cost

__all__ = ["Subspace", "principal_subspace", "realisation_cost", "swap_cost"]
