"""Networks of other people's kinds: 6 inputs (2, 3), 4 outputs, one peculiarity each."""

import math
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.c(self.middle(torch.tanh(self.a(self.first(x.flatten(1))))))

    def first(self, x):
        return x

    def middle(self, h):
        return F.relu(self.b(h))


class WritesFlat(Plain):
    def first(self, x):
        x -= 0.3
        return x


class WritesWhole(Plain):
    def forward(self, x):
        x.sub_(0.3)
        return super().forward(x)


class InplaceRelu(Plain):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def first(self, x):
        return self.relu(x)


class WritesIndex(Plain):
    def first(self, x):
        x[:, 0] = 0
        return x


class WritesData(Plain):
    def first(self, x):
        x.data.mul_(0.5)
        return x


class ClampsWeight(Plain):
    def middle(self, h):
        with torch.no_grad():
            self.b.weight.clamp_(-0.2, 0.2)
        return F.relu(self.b(h))


class Counts(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def middle(self, h):
        self.calls += 1
        return F.relu(self.b(h))


class FunctionalDropout(Plain):
    def middle(self, h):
        return F.dropout(F.relu(self.b(h)), 0.3, self.training)


class AlwaysDropout(Plain):
    def middle(self, h):
        return F.dropout(F.relu(self.b(h)), 0.3)


class DropPath(Plain):
    def middle(self, h):
        kept = torch.rand(len(h), 1) < 0.7 if self.training else 1
        return h + self.b(h) * kept


class Gumbel(Plain):
    def middle(self, h):
        return F.gumbel_softmax(self.b(h)) if self.training else F.softmax(self.b(h), -1)


class RandomRelu(Plain):
    def __init__(self):
        super().__init__()
        self.relu = nn.RReLU()

    def middle(self, h):
        return self.relu(self.b(h))


class AttentionDropout(Plain):
    def middle(self, h):
        tokens = self.b(h).view(len(h), 1, 4, 2)
        share = 0.2 if self.training else 0.0
        return F.scaled_dot_product_attention(tokens, tokens, tokens, dropout_p=share).flatten(1)


class NumpyNoise(Plain):
    def middle(self, h):
        noise = torch.from_numpy(np.random.standard_normal(tuple(h.shape))).float()
        return self.b(h) + 0.1 * noise * self.training


class PythonNoise(Plain):
    def middle(self, h):
        return self.b(h) * random.random()


class OwnGenerator(Plain):
    def __init__(self):
        super().__init__()
        self.draws = torch.Generator().manual_seed(3)

    def middle(self, h):
        return self.b(h) + 0.1 * torch.randn(h.shape, generator=self.draws) * self.training


class Unseeded(Plain):
    def middle(self, h):
        noise = torch.from_numpy(np.random.default_rng().standard_normal(tuple(h.shape))).float()
        return self.b(h) + noise * self.training


class Recurrent(Plain):
    def __init__(self):
        super().__init__()
        self.b = nn.LSTM(8, 8, batch_first=True)

    def middle(self, h):
        return self.b(torch.stack([h, 2 * h], dim=1))[0][:, -1]


class Gated(Plain):
    def __init__(self):
        super().__init__()
        self.b = nn.GRU(8, 8, batch_first=True)

    def middle(self, h):
        return self.b(torch.stack([h, 2 * h], dim=1))[0][:, -1]


class CumulativeNorm(Plain):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8, momentum=None)

    def middle(self, h):
        return torch.tanh(self.norm(self.b(h)))


class BatchStatistics(Plain):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8, track_running_stats=False)

    def middle(self, h):
        return torch.tanh(self.norm(self.b(h)))


class Checkpointed(Plain):
    def middle(self, h):
        return checkpoint(lambda z: torch.tanh(self.b(z)), h, use_reentrant=False)


class CheckpointedFunction(Plain):
    def middle(self, h):
        return checkpoint(lambda z: torch.tanh(F.linear(z, self.b.weight)), h, use_reentrant=False)


class CheckpointedDropout(Plain):
    def middle(self, h):
        return checkpoint(
            lambda z: F.dropout(torch.tanh(self.b(z)), 0.2, self.training), h, use_reentrant=False
        )


class Reentrant(Plain):
    def middle(self, h):
        return checkpoint(lambda z: torch.tanh(self.b(z)), h, use_reentrant=True)


class Item(Plain):
    def middle(self, h):
        return self.b(h) * (1 + 0.1 * h.abs().max().item())


class Branch(Plain):
    def middle(self, h):
        return self.b(h) if h.mean() > 0.1 else h


class MaskedWrite(Plain):
    def middle(self, h):
        z = self.b(h)
        z[z < 0] = 0
        return z


class Spectral(Plain):
    def __init__(self):
        super().__init__()
        self.b = nn.utils.parametrizations.spectral_norm(self.b)


class Unused(Plain):
    def middle(self, h):
        return h


class FrozenLayer(Plain):
    def __init__(self):
        super().__init__()
        self.b.requires_grad_(False)


class FrozenBias(Plain):
    def __init__(self):
        super().__init__()
        self.a.bias.requires_grad_(False)


class FrozenAffine(BatchStatistics):
    def __init__(self):
        super().__init__()
        self.norm.requires_grad_(False)


class HookedGradient(Plain):
    def __init__(self):
        super().__init__()
        rows = torch.ones(8, 1)
        rows[:4] = 0
        self.b.weight.register_hook(lambda gradient: gradient * rows)
        self.b.bias.register_hook(lambda gradient: gradient * rows[:, 0])


class Causal(Plain):
    """A mask of -inf among the buffers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.full((2, 2), -math.inf).triu(1))

    def middle(self, h):
        tokens = self.b(h).view(len(h), 2, 4)
        return (F.softmax(tokens @ tokens.mT + self.mask, -1) @ tokens).flatten(1)


class Autocast(Plain):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x).float()


WRITE = [WritesFlat, WritesWhole, InplaceRelu, WritesIndex, WritesData]
DRAW = [FunctionalDropout, AlwaysDropout, DropPath, Gumbel, RandomRelu, AttentionDropout]
DRAW += [NumpyNoise, PythonNoise, OwnGenerator]
RECOMPUTE = [Checkpointed, CheckpointedFunction, CheckpointedDropout, Reentrant]
NO_RULE = [Recurrent, Gated, CumulativeNorm, Item, Branch, MaskedWrite, Spectral, WritesData]
STACKED = [Plain, WritesFlat, WritesWhole, InplaceRelu, WritesIndex, ClampsWeight, Counts]
STACKED += [BatchStatistics, Unused, FrozenLayer, FrozenBias, FrozenAffine, HookedGradient, Causal]
ALL = [*STACKED, *DRAW, *RECOMPUTE, *NO_RULE, Autocast]
