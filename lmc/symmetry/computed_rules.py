"""Operations by which weights are computed from parameters: weight norm and spectral norm."""

from __future__ import annotations

from lmc.symmetry.layer_rules import matmul
from lmc.symmetry.rules import Rule, elementwise

# v g / ||v||: rows keep their places, and what the norm is over may permute.
COMPUTED: dict[str, Rule] = {"_weight_norm": elementwise, "vdot": matmul}
