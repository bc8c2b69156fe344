"""Random networks of what moves axes about: views, cuts, stacks, shared and grouped layers, norms, attention."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST = 260


class Fabric(nn.Module):
    """Steps that each read earlier tensors and add one; what nothing reads goes into the outputs.

    Steps name their layers, so that a copy of the network uses its own.
    """

    def __init__(self, seed: int, steps: int = 7) -> None:
        super().__init__()
        self.seed, self.rng, self.parts = seed, random.Random(seed), nn.ModuleDict()
        self.steps: list[tuple[str, list[int], Callable]] = []
        torch.manual_seed(seed)
        shape = self.rng.choice([(4,), (3, 4), (2, 3), (3, 2, 2)])
        self.example = torch.randn(10, *shape)
        self.made = [self.example]
        self.add("embed", [0], self.linear(shape[-1], self.rng.choice([4, 6, 8, 12])))
        while len(self.steps) < steps:
            name, wanted = self.rng.choice(OPERATIONS)
            found = wanted(self, self.rng)
            if found is not None:
                self.add(name, *found)
        read = {each for _, sources, _ in self.steps for each in sources}
        self.ends = [place for place in range(len(self.made)) if place not in read]
        self.heads = nn.ModuleList(nn.Linear(self.made[place][0].numel(), 3) for place in self.ends)
        self.example, self.made = self.example.detach(), []

    def part(self, module: nn.Module) -> str:
        name = str(len(self.parts))
        self.parts[name] = module
        return name

    def linear(self, inputs: int, outputs: int) -> Callable:
        name = self.part(nn.Linear(inputs, outputs, bias=self.rng.random() < 0.7))
        return lambda net, x: net.parts[name](x)

    def add(self, name: str, sources: list[int], step: Callable) -> None:
        try:
            made = step(self, *[self.made[each] for each in sources]).detach()
        except (RuntimeError, IndexError):
            return
        if 1 < made[0].numel() <= LARGEST and made.dim() > 1 and made.shape[0] == 10:
            self.steps.append((name, sources, step))
            self.made.append(made)

    def pick(self) -> int:
        return self.rng.randrange(max(1, len(self.made) - 4), len(self.made))

    def forward(self, x: Tensor) -> Tensor:
        made = [x]
        for _, sources, step in self.steps:
            made.append(step(self, *[made[each] for each in sources]))
        return sum(
            head(torch.tanh(made[place].flatten(1)))
            for head, place in zip(self.heads, self.ends, strict=True)
        )

    def __str__(self) -> str:
        return f"Fabric({self.seed}): " + " ".join(f"{name}{sources}" for name, sources, _ in self.steps)


def _divisors(size: int) -> list[int]:
    return [each for each in range(2, size) if size % each == 0]


def linear(net, rng):
    at = net.pick()
    return [at], net.linear(net.made[at].shape[-1], rng.choice([2, 3, 4, 6, 8, 12]))


def shared(net, rng):
    """A layer that was used before, on another tensor."""
    layers = [name for name, part in net.parts.items() if isinstance(part, nn.Linear)]
    name, at = rng.choice(layers), net.pick()
    if net.made[at].shape[-1] != net.parts[name].in_features:
        return None
    return [at], lambda net, x: net.parts[name](x)


def activation(net, rng):
    act = rng.choice([torch.tanh, F.silu, torch.sigmoid, torch.sin])
    return [net.pick()], lambda net, x: act(x)


def split(net, rng):
    at = net.pick()
    places = [(dim, size) for dim, size in enumerate(net.made[at].shape) if dim and _divisors(size)]
    if not places or net.made[at].dim() > 5:
        return None
    dim, size = rng.choice(places)
    outer = rng.choice(_divisors(size))
    return [at], lambda net, x: x.unflatten(dim, (outer, size // outer))


def merge(net, rng):
    at = net.pick()
    if net.made[at].dim() < 3:
        return None
    dim = rng.randrange(1, net.made[at].dim() - 1)
    return [at], lambda net, x: x.flatten(dim, dim + 1)


def permute(net, rng):
    at = net.pick()
    order = list(range(1, net.made[at].dim()))
    rng.shuffle(order)
    return [at], lambda net, x: x.permute(0, *order)


def dealt(net, rng):
    """Split, exchanged and flattened: the channel shuffle."""
    at = net.pick()
    places = [(dim, size) for dim, size in enumerate(net.made[at].shape) if dim and _divisors(size)]
    if not places:
        return None
    dim, size = rng.choice(places)
    outer = rng.choice(_divisors(size))
    return [
        at
    ], lambda net, x: x.unflatten(dim, (outer, size // outer)).transpose(dim, dim + 1).flatten(dim, dim + 1)


def cut(net, rng):
    """Pieces of an axis, put together in one of many ways."""
    at = net.pick()
    dim = rng.randrange(1, net.made[at].dim())
    size = net.made[at].shape[dim]
    if not _divisors(size):
        return None
    count = rng.choice(_divisors(size))
    how = rng.choice(["first", "gate", "swap", "sum", "last"])

    def step(net, x):
        parts = x.chunk(count, dim)
        if how == "gate":
            return torch.tanh(parts[0]) * parts[-1]
        if how == "swap":
            return torch.cat([-parts[-1], *parts[:-1]], dim)
        if how == "sum":
            return sum(part * (place + 1) for place, part in enumerate(parts))
        return parts[0 if how == "first" else -1]

    return [at], step


def narrow(net, rng):
    at = net.pick()
    dim = rng.randrange(1, net.made[at].dim())
    size = net.made[at].shape[dim]
    start = rng.randrange(size)
    length = rng.randrange(1, size - start + 1)
    if rng.random() < 0.3:
        return [at], lambda net, x: x.select(dim, start)
    return [at], lambda net, x: x.narrow(dim, start, length)


def join(net, rng):
    a, b = net.pick(), net.pick()
    dim = rng.randrange(1, net.made[a].dim())
    return [a, b], lambda net, x, y: torch.cat([x, torch.tanh(y)], dim)


def stack(net, rng):
    a, b = net.pick(), net.pick()
    dim = rng.randrange(1, net.made[a].dim() + 1)
    return [a, b], lambda net, x, y: torch.stack([x, torch.tanh(y)], dim)


def combine(net, rng):
    a, b = net.pick(), net.pick()
    if net.made[a].shape != net.made[b].shape:
        return None
    product = rng.random() < 0.5
    return [a, b], lambda net, x, y: x * torch.sigmoid(y) if product else x + y


def scaled(net, rng):
    """A stored tensor over some of the axes."""
    at = net.pick()
    shape = [size if rng.random() < 0.5 else 1 for size in net.made[at].shape[1:]]
    name = net.part(nn.ParameterList([nn.Parameter(1 + 0.5 * torch.randn(shape))]))
    return [at], lambda net, x: x * net.parts[name][0]


def normed(net, rng):
    at = net.pick()
    shape = net.made[at].shape
    if math.prod(shape[2:]) * shape[1] < 3:
        return None
    count = rng.randrange(1, len(shape))
    kind = rng.choice(["layer", "batch", "group"])
    if kind == "layer":
        name = net.part(nn.LayerNorm(shape[-count:]))
    elif kind == "batch":
        name = net.part(nn.BatchNorm1d(shape[1]))
        return [at], lambda net, x: net.parts[name].eval()(x.flatten(2) if x.dim() > 3 else x).view(x.shape)
    else:
        name = net.part(nn.GroupNorm(rng.choice([1, *_divisors(shape[1])]), shape[1]))
    return [at], lambda net, x: net.parts[name](x)


def convolved(net, rng):
    at = net.pick()
    shape = net.made[at].shape
    if len(shape) not in (3, 4):
        return None
    groups = rng.choice([1, shape[1], *_divisors(shape[1])])
    made = groups * rng.choice([1, 2, 3])
    turned = rng.random() < 0.25
    kind = {3: (nn.Conv1d, nn.ConvTranspose1d), 4: (nn.Conv2d, nn.ConvTranspose2d)}[len(shape)][turned]
    name = net.part(kind(shape[1], made, 1, groups=groups, bias=rng.random() < 0.7))
    return [at], lambda net, x: net.parts[name](x)


def reduced(net, rng):
    at = net.pick()
    if net.made[at].dim() < 3:
        return None
    dim, keep = rng.randrange(1, net.made[at].dim()), rng.random() < 0.4
    how = rng.choice([torch.sum, torch.mean, torch.amax])
    return [at], lambda net, x: how(x, dim, keepdim=keep)


def softmax(net, rng):
    at = net.pick()
    dim = rng.randrange(1, net.made[at].dim())
    return [at], lambda net, x: x.softmax(dim)


def broadcast(net, rng):
    """Added to itself without one axis, which is repeated."""
    a, b = net.pick(), net.pick()
    dim = rng.randrange(1, net.made[b].dim())
    if net.made[b].dim() != net.made[a].dim():
        return None
    return [a, b], lambda net, x, y: x + y.mean(dim, keepdim=True).expand_as(x)


def repeated(net, rng):
    at = net.pick()
    dim, count = rng.randrange(1, net.made[at].dim()), rng.choice([2, 3])
    return [at], lambda net, x: x.repeat_interleave(count, dim)


def product(net, rng):
    a, b = net.pick(), net.pick()
    if net.made[a].dim() < 3 or net.made[b].dim() < 3:
        return None
    turned = rng.random() < 0.5
    return [a, b], lambda net, x, y: x @ (y.mT if turned else y)


def attended(net, rng):
    """Self-attention over an axis, heads, and queries, keys and values in any order of one layer's outputs."""
    at = net.pick()
    shape = net.made[at].shape
    if len(shape) != 3:
        return None
    heads, dim = rng.choice([2, 3]), rng.choice([2, 3])
    layer, order = net.linear(shape[-1], 3 * heads * dim), rng.choice(["3hd", "h3d", "hd3", "d3h"])
    mixed, norm = rng.random() < 0.3, rng.random() < 0.2

    def step(net, x):
        sizes = {"3": 3, "h": heads, "d": dim}
        y = layer(net, x).unflatten(-1, [sizes[each] for each in order])
        q, k, v = torch.einsum(f"bt{order}->3bhtd", y)
        if norm:
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return (out.transpose(2, 3) if mixed else out).flatten(2)

    return [at], step


def moved(net, rng):
    at = net.pick()
    dim = rng.randrange(1, net.made[at].dim())
    how = rng.choice(["flip", "roll", "glu", "step"])
    if how == "glu" and net.made[at].shape[dim] % 2:
        return None
    own = {
        "flip": lambda net, x: x.flip(dim),
        "roll": lambda net, x: x.roll(1, dim),
        "glu": lambda net, x: F.glu(x, dim),
        "step": lambda net, x: x.movedim(dim, -1)[..., ::2].movedim(-1, dim),
    }
    return [at], own[how]


OPERATIONS = [
    (rule.__name__, rule)
    for rule, weight in (
        (linear, 4), (shared, 1), (activation, 2), (split, 3), (merge, 3), (permute, 2), (dealt, 2), (cut, 3),
        (narrow, 1), (join, 2), (stack, 2), (combine, 3), (scaled, 2), (normed, 2), (convolved, 4),
        (reduced, 1), (softmax, 1), (broadcast, 1), (repeated, 1), (product, 1), (attended, 3), (moved, 1),
    )
    for _ in range(weight)
]  # fmt: skip
