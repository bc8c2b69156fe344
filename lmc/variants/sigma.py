"""sigma-asymmetric networks: a fixed mixing inside the activation (THEORY 1; arXiv 2405.20231)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from lmc.core.errors import SettingError
from lmc.core.seeds import generator
from lmc.models.activations import activation_names
from lmc.models.modes import evaluating
from lmc.variants.constraint import Constraint


def sigma(model: nn.Module, mask_seed: int, example: Tensor) -> Constraint:
    """A FiGLU x * sigmoid(C x) with C ~ N(0, 1) in place of every activation; D = 1, f = 0.

    Args:
        example: (B, *input_shape), run once to learn the width at each activation.

    Raises:
        SettingError: the model has no activation module, or one serves layers of several widths.
    """
    widths: dict[str, set[int]] = {name: set() for name in activation_names(model)}

    def listen(found: set[int]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _, __, output: found.add(output.shape[1 if output.dim() == 4 else -1])

    with ExitStack() as context, evaluating(model):
        for name, found in widths.items():
            context.enter_context(model.get_submodule(name).register_forward_hook(listen(found)))
        model(example.clone())
    if not any(widths.values()):
        raise SettingError("variant=sigma: the model has no activation modules to exchange")
    several = [name for name, found in widths.items() if len(found) > 1]
    if several:
        raise SettingError(
            f"variant=sigma: {several[0]} serves layers of widths {sorted(widths[several[0]])}"
        )
    mixings = {
        name: torch.randn(width, width, generator=generator("mixing", mask_seed, name))
        for name, found in widths.items()
        for width in found
    }
    return Constraint(mixings=mixings)
