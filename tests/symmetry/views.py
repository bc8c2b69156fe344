"""Networks that move channels about between layers: stacks, cuts inside blocks, dealing out, one weight for all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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


class Cached(nn.Module):
    """Queries, keys and values inside each head, and keys joined to an empty cache (GPT-NeoX in transformers)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.proj = nn.Linear(4, 6), nn.Linear(6, 24), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q, k, v = self.qkv(self.embed(x)).view(B, T, 2, 12).transpose(1, 2).chunk(3, dim=-1)
        k, v = torch.cat([torch.zeros(0), k], dim=-2), torch.cat([v[:, :, :0], v], dim=-2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).flatten(2)).mean(1)


class Gated(nn.Module):
    """glu, an einsum with an ellipsis, and channels that become positions."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.mix = nn.Conv2d(3, 12, 1), nn.Parameter(torch.randn(6, 20) / 3)
        self.out = nn.Conv2d(5, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.glu(self.up(x), 1).permute(0, 2, 3, 1)
        x = torch.tanh(torch.einsum("...i,io->...o", x, self.mix)).permute(0, 3, 1, 2)
        return self.out(torch.tanh(F.pixel_shuffle(x, 2))).mean((2, 3))


class EveryOther(nn.Module):
    """Even and odd outputs of a layer are the parts of a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 10), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        return self.down(torch.tanh(x[..., ::2]) * x[..., 1::2])


class SoftHeads(nn.Module):
    """A softmax over blocks: what lies inside them moves alike in all."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).unflatten(1, (3, 4)).softmax(1).flatten(1))


class WithItself(nn.Module):
    """Products of neurons among each other: both factors move alike, along one axis of what reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        return self.b((h[:, :, None] * h[:, None]).flatten(1))


class Cosine(nn.Module):
    """Weights are normalised before they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.a.weight * 0.3, self.a.bias).tanh()
        return self.c(F.linear(x, F.normalize(self.b.weight, dim=-1)).tanh())


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


class StandardisedWeights(nn.Module):
    """Convolutions whose weights are standardised, of grey images repeated to three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = Standardised(3, 6, 3), nn.GroupNorm(2, 6), Standardised(6, 5, 1)
        self.c = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.a(x.expand(-1, 3, -1, -1))))
        return self.c(torch.tanh(self.b(x)).mean((2, 3)))


class Maxout(nn.Module):
    """The largest of three, and the larger of two that lie far apart."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 18), nn.Linear(6, 10), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).unflatten(1, (6, 3)).amax(2)
        return self.c(self.b(x).unflatten(1, (2, 5)).max(1).values)


class Upwards(nn.Module):
    """Transposed convolutions, one of two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.up = nn.Linear(4, 24), nn.ConvTranspose2d(6, 4, 2, 2)
        self.grouped, self.last = nn.ConvTranspose2d(4, 4, 2, 2, groups=2), nn.ConvTranspose2d(4, 3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.up(torch.tanh(self.a(x)).view(-1, 6, 2, 2)))
        return self.last(torch.tanh(self.grouped(x))).flatten(1)


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
    "cached": (Cached, torch.randn(2, 5, 4), {"embed": (6, 1, 1), "qkv": (8, 2, 1), "qkv#2": (8, 2, 1)}),
    "gated": (Gated, images, {"up": (6, 1, 1), "mix": (5, 1, 1)}),
    "every-other": (EveryOther, torch.randn(2, 4), {"up": (5, 1, 1)}),
    # Blocks move, and what is inside moves in all of them alike.
    "soft-heads": (SoftHeads, torch.randn(2, 4), {"a": (3, 1, 1), "a#2": (4, 1, 1)}),
    "with-itself": (WithItself, torch.randn(2, 4), {}),
    "cosine": (Cosine, torch.randn(2, 4), {"a": (6, 1, 1), "b": (5, 1, 1)}),
    "standardised": (StandardisedWeights, torch.randn(2, 1, 5, 5), {"a": (6, 2, 1), "b": (5, 1, 1)}),
    # The units of a move as its blocks do; none of them is an output of a layer.
    "maxout": (Maxout, torch.randn(2, 4), {"a": (18, 6, 1), "b": (5, 1, 1), "b#2": (6, 6, 0)}),
    "upwards": (Upwards, torch.randn(2, 4), {"a": (6, 1, 1), "up": (4, 2, 1), "grouped": (4, 2, 1)}),
}
