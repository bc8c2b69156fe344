"""Training: one loop, optimisers, schedules, and networks as what is trained."""

from lmc.core.recipe import Recipe
from lmc.training.loop import Batch, Epoch, Fit, Position, batch_bounds
from lmc.training.networks import Trainee, batch_loss, orders
from lmc.training.way import Samples, Way, way_of_training

__all__ = [
    "Batch",
    "Epoch",
    "Fit",
    "Position",
    "Recipe",
    "Samples",
    "Trainee",
    "Way",
    "batch_bounds",
    "batch_loss",
    "orders",
    "way_of_training",
]
