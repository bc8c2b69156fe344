"""Activations as modules of their own, so that a variant can exchange them and recording can name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}

_KNOWN = (nn.GELU, nn.ReLU, nn.Tanh, nn.SiLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Softplus)


class FiGLU(nn.Module):
    """x * sigmoid(C x) with a fixed mixing matrix C (n, n) (THEORY 1, sigma-asymmetric; arXiv 2405.20231).

    C mixes the last axis of (B, n) and (B, T, n), and the channels of (B, n, H, W) at each position.
    """

    mixing: Tensor

    def __init__(self, mixing: Tensor) -> None:
        super().__init__()
        self.register_buffer("mixing", mixing)

    def forward(self, x: Tensor) -> Tensor:
        """Gate x by its own mixed copy."""
        if x.dim() == 4:
            return x * torch.sigmoid(torch.einsum("oc,bchw->bohw", self.mixing, x))
        return x * torch.sigmoid(nn.functional.linear(x, self.mixing))


def activation_names(model: nn.Module) -> list[str]:
    """Names of the activation modules of a model."""
    return [name for name, part in model.named_modules() if isinstance(part, _KNOWN)]


def install_mixings(model: nn.Module, mixings: Mapping[str, Tensor]) -> None:
    """Put a FiGLU in place of each named activation, in place."""
    for name, mixing in mixings.items():
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, FiGLU(mixing.clone()))
