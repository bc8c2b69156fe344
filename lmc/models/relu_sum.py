"""The student of the coherence experiment (THEORY 3): a plain sum of rectified units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from lmc.core.errors import SettingError


class ReluSum(nn.Module):
    """x -> sum_i relu(<w_i, x> + b_i): output weights are fixed at one."""

    def __init__(self, inputs: int, units: int, init_sd: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(inputs, units)])
        self.activations = nn.ModuleList([nn.ReLU()])
        nn.init.normal_(self.layers[0].weight, std=init_sd)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[0].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *input_shape) to (B, 1)."""
        return self.activations[0](self.layers[0](x.flatten(1))).sum(dim=1, keepdim=True)


def relu_sum(
    input_shape: Sequence[int],
    outputs: int,
    *,
    units: Annotated[int, Field(ge=1)] = 128,
    init_sd: Annotated[float, Field(ge=0)] = 0.05,
) -> ReluSum:
    """A sum of ``units`` rectified units, weights from N(0, init_sd^2), biases 0.

    Raises:
        SettingError: the data need more than one output.
    """
    if outputs != 1:
        raise SettingError(f"model=relu_sum: has one output, but the data need {outputs}", "data=teacher")
    return ReluSum(math.prod(input_shape), units, init_sd)
