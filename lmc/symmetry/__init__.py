"""Permutation symmetries of a network: found, applied, verified."""

from lmc.symmetry.declared import permutation_groups
from lmc.symmetry.following import Following
from lmc.symmetry.groups import Axis, Fixed, Group, Groups, apply, compose, families, inverse, random
from lmc.symmetry.proof import Proof
from lmc.symmetry.trial import SAMPLES
from lmc.symmetry.verify import verify

__all__ = [
    "SAMPLES",
    "Axis",
    "Fixed",
    "Following",
    "Group",
    "Groups",
    "Proof",
    "apply",
    "compose",
    "families",
    "inverse",
    "permutation_groups",
    "random",
    "verify",
]
