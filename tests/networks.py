"""Networks of which module calls show little: raw weights, functions, attention, features on other axes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Pixels(nn.Module):
    """Linear layers on (B, H, W, C), with C = H = W."""

    def __init__(self, side: int = 4) -> None:
        super().__init__()
        self.a, self.b, self.norm = nn.Linear(2, side), nn.Linear(side, side), nn.LayerNorm(side)
        self.act, self.act2, self.fc = nn.GELU(), nn.ReLU(), nn.Linear(side, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.a(x.permute(0, 2, 3, 1)))
        return self.fc(self.act2(self.norm(self.b(h))).mean((1, 2)))


class Steps(nn.Module):
    """A linear layer, a convolution behind a transposition, and a norm behind another; T = C."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.conv = nn.Linear(4, 4), nn.Conv1d(4, 4, 3, padding=1)
        self.act, self.norm, self.b = nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.conv(self.a(x).mT)).mT
        return self.fc(torch.tanh(self.b(self.norm(h))).mean(1))


class Volumes(nn.Module):
    """A convolution in three dimensions, and two inputs that meet in a bilinear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv3d(1, 4, 1), nn.ReLU()
        self.left, self.right = nn.Linear(4, 5), nn.Linear(4, 6)
        self.both, self.fc = nn.Bilinear(5, 6, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.conv(x)).mean((2, 3, 4))
        return self.fc(F.relu(self.both(F.relu(self.left(h)), F.relu(self.right(h)))))


class Attending(nn.Module):
    """Attention of torch, whose projections no module call shows."""

    def __init__(self, memory: bool = False) -> None:
        super().__init__()
        self.embed, self.fc = nn.Linear(4, 6), nn.Linear(6, 3)
        self.att = nn.MultiheadAttention(6, 2, batch_first=True)
        self.memory = nn.Parameter(torch.randn(3, 6)) if memory else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        q = h if self.memory is None else h[:, :1] + self.memory
        return self.fc(self.att(q, h, h, need_weights=False)[0].mean(1))


class Functional(nn.Module):
    """Layers whose weights a function uses, and one that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.unused = nn.Linear(4, 6), nn.Linear(6, 5, bias=False), nn.Linear(9, 8)
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(F.linear(x, self.a.weight, self.a.bias))
        return self.fc(F.relu(F.linear(h, self.b.weight)))


class Products(nn.Module):
    """Raw weights: neurons on the second axis, on the first, and in an einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.u, self.v = nn.Parameter(torch.randn(4, 6)), nn.Parameter(torch.randn(5, 6))
        self.w, self.bias = nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(x @ self.u + self.bias)
        return torch.einsum("bi,io->bo", F.gelu((self.v @ h.T).T), self.w)


class Block(nn.Module):
    """Raw weights of equal widths: all that goes through has the shape of what goes in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.u = nn.Parameter(torch.randn(width, width))
        self.v = nn.Parameter(torch.randn(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(torch.relu(x @ self.u) @ self.v)


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.block, self.fc = nn.Linear(4, 5), Block(5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(F.relu(self.a(x))))


class Cosine(nn.Linear):
    """A linear layer by its class, which does something else."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1), self.bias)


class Adapted(nn.Module):
    """A low-rank change of the weight, another of the output, a layer called twice, a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.down = nn.Linear(4, 6), nn.Parameter(torch.randn(2, 4))
        self.up = nn.Parameter(torch.randn(6, 2))
        self.again, self.cosine = nn.Linear(6, 6), Cosine(6, 6)
        self.grouped, self.fc = nn.Conv2d(6, 6, 1, groups=2), nn.Linear(6, 3)
        self.side_a, self.side_b = nn.Parameter(torch.randn(2, 6)), nn.Parameter(torch.randn(6, 2))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(F.linear(x, self.base.weight + self.up @ self.down, self.base.bias))
        h = F.relu(self.again(F.relu(self.again(h)))) + (h @ self.side_a.T) @ self.side_b.T
        return self.fc(self.grouped(self.cosine(h)[..., None, None]).flatten(1))
