"""Networks that move channels about between layers: stacks, cuts inside blocks, dealing out, one weight for all."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StackedThenGrouped(nn.Module):
    """Two layers become two channels, which a grouped convolution tells apart."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(4, 6), nn.Conv1d(2, 8, 1, groups=2)
        self.d = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.stack([torch.relu(self.a(x)), torch.tanh(self.b(x))], 1)
        return self.d(torch.tanh(self.c(z)).flatten(1))


class JoinedThenDealt(nn.Module):
    """Two convolutions end to end, their channels dealt out in turn, then each by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(8, 8, 3, groups=8)
        self.d = nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.cat([self.a(x), torch.tanh(self.b(x))], 1)
        z = z.unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2)
        return self.d(torch.tanh(self.c(z))).mean((2, 3))


class CutInsideHeads(nn.Module):
    """Heads first; queries, keys and values are cut inside each."""

    def __init__(self, heads: int = 2, dim: int = 3) -> None:
        super().__init__()
        self.heads, self.dim, self.embed = heads, dim, nn.Conv2d(3, 5, 1)
        self.qkv, self.proj = nn.Conv2d(5, 3 * heads * dim, 1), nn.Conv2d(heads * dim, 5, 1)
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        B, _, H, W = x.shape
        q, k, v = self.qkv(x).view(B, self.heads, 3 * self.dim, -1).chunk(3, dim=2)
        y = v @ (q.transpose(-2, -1) @ k).softmax(-1).transpose(-2, -1)
        return self.fc((x + self.proj(y.reshape(B, -1, H, W))).mean((2, 3)))


images = torch.randn(2, 3, 4, 4)

# name: (network, example input, {group: (neurons, blocks, layers)})
VIEWS = {
    "stacked-then-grouped": (StackedThenGrouped, torch.randn(2, 4), {"c": (4, 1, 1)}),
    # Of a and b, and of what is made of each of their channels, equal places move alike.
    "joined-then-dealt": (JoinedThenDealt, images, {"a": (4, 1, 3)}),
    "cut-inside-heads": (
        CutInsideHeads,
        images,
        {"embed": (5, 1, 2), "qkv": (6, 2, 1), "qkv#2": (6, 2, 1)},
    ),
}
