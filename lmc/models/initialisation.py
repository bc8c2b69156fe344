"""The published initialisation (THEORY 1)."""

from __future__ import annotations

import math

from torch import nn


def initialise(model: nn.Module) -> nn.Module:
    """Draw linear weights from N(0, 1/d_in), convolutions Kaiming uniform (a = sqrt 5), biases uniform.

    Uses torch's global generator, so that a builder and a user's own module are seeded alike.
    """
    for part in model.modules():
        if not isinstance(part, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            continue
        inputs = part.weight[0].numel()
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=inputs**-0.5)
        else:
            nn.init.kaiming_uniform_(part.weight, a=math.sqrt(5))
        if part.bias is not None:
            nn.init.uniform_(part.bias, -(inputs**-0.5), inputs**-0.5)
    return model
