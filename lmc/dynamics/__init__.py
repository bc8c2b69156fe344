"""What changes while networks train: their weights, predictions, representations and kernels (THEORY 6)."""

from lmc.dynamics.agreement import agreement, as_targets
from lmc.dynamics.cka import cka, linear_cka
from lmc.dynamics.kernels import Rows, kernel_alignment, kernel_distance, tangent_kernel
from lmc.dynamics.linearisation import Linearisation, linearisation, linearised
from lmc.dynamics.updates import WHOLE, cosines, distances, tensors_of, updates

__all__ = [
    "WHOLE",
    "Linearisation",
    "Rows",
    "agreement",
    "as_targets",
    "cka",
    "cosines",
    "distances",
    "kernel_alignment",
    "kernel_distance",
    "linear_cka",
    "linearisation",
    "linearised",
    "tangent_kernel",
    "tensors_of",
    "updates",
]
