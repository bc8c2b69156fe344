"""A small vision transformer (arXiv 2010.11929), pre-norm, with learned positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lmc.core.errors import SettingError
from lmc.models import shapes
from lmc.models.initialisation import initialise

Count = Annotated[int, Field(ge=1)]

_POSITION_SD = 0.02


class Attention(nn.Module):
    """Multi-head self-attention; its projections are layers of their own, to be constrained and matched."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, dim) to the same shape."""
        query, key, value = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention, then two linear layers with a GELU between, each added to the stream behind its norm."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, hidden)
        self.activation = nn.GELU()
        self.linear2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, dim) to the same shape."""
        x = x + self.attention(self.norm1(x))
        return x + self.linear2(self.activation(self.linear1(self.norm2(x))))


class ViT(nn.Module):
    """Patches as tokens, positions added, blocks, a norm, a linear readout of one token or of their mean."""

    def __init__(
        self,
        channels: int,
        tokens: int,
        outputs: int,
        patch: int,
        dim: int,
        depth: int,
        heads: int,
        mlp_ratio: float,
        pool: str,
    ) -> None:
        super().__init__()
        self.patch = nn.Conv2d(channels, dim, patch, stride=patch)
        own = 1 if pool == "token" else 0
        self.token = nn.Parameter(torch.empty(own, dim).normal_(std=_POSITION_SD)) if own else None
        self.position = nn.Parameter(torch.empty(tokens + own, dim).normal_(std=_POSITION_SD))
        hidden = max(1, round(mlp_ratio * dim))
        self.blocks = nn.Sequential(*(TransformerBlock(dim, heads, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, outputs)."""
        x = self.patch(x).flatten(2).mT
        if self.token is not None:
            x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        x = self.norm(self.blocks(x + self.position))
        return self.linear(x.mean(1) if self.token is None else x[:, 0])


def vit(
    input_shape: Sequence[int],
    outputs: int,
    *,
    patch: Count = 4,
    dim: Count = 64,
    depth: Annotated[int, Field(ge=0)] = 4,
    heads: Count = 4,
    mlp_ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0,
    pool: Literal["token", "mean"] = "token",
) -> ViT:
    """A vision transformer for images whose sides are multiples of ``patch``.

    Args:
        patch: side of a patch, in pixels.
        dim: of a token; a multiple of ``heads``.
        depth: the number of blocks.
        mlp_ratio: hidden neurons of a block over ``dim``.
        pool: what is read out, a class token or the mean of the patches' tokens.

    Raises:
        SettingError: the data are no images, or sizes that do not divide.
    """
    channels, height, width = shapes.image("vit", input_shape)
    if height % patch or width % patch:
        fits = [side for side in range(1, min(height, width) + 1) if not height % side and not width % side]
        message = f"model.patch={patch}: does not divide images of {height} x {width}"
        raise SettingError(message, "choose from " + ", ".join(map(str, fits)))
    if dim % heads:
        raise SettingError(f"model.heads={heads}: does not divide model.dim={dim}")
    tokens = (height // patch) * (width // patch)
    made = ViT(channels, tokens, outputs, patch, dim, depth, heads, mlp_ratio, pool)
    return initialise(made)  # type: ignore[return-value]
