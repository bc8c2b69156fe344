"""Permutation symmetries of a network: found, applied, verified."""

from lmc.symmetry.groups import Group, Groups, apply, compose, permutation_groups, random
from lmc.symmetry.verify import verify

__all__ = ["Group", "Groups", "apply", "compose", "permutation_groups", "random", "verify"]
