"""One pass over the data, kept as moments.

Counts, means, variances, covariances and cross-covariances of any layer's inputs or outputs, in float64
and in memory that does not depend on the number of samples. Batches are combined about their own means,
so that a large mean loses no digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmc.models.modes import evaluating
from lmc.models.stack import Feature, Point, chunk, forward, portioned, portions

RunPair = tuple[int, int]
Source = Point | Feature

# Bytes of recorded features held at once. Measured: half of what evaluation takes stays in the cache.
_BUDGET = 24 << 20


@dataclass(frozen=True)
class Moments:
    """Moments at one recording point of K runs with n features; covariances divide by ``count``.

    ``count``: samples (times positions). ``mean`` and ``variance``: (K, n). ``covariances``: for each asked
    pair of runs (a, b), E[(x_a - mean_a)(x_b - mean_b)^T], (n, n).
    """

    count: int
    mean: Tensor
    variance: Tensor
    covariances: Mapping[RunPair, Tensor]

    def covariance(self, run: int = 0, other: int | None = None) -> Tensor:
        """(n, n) covariance of one run, or cross-covariance of two; (b, a) is the transpose of (a, b)."""
        pair = (run, run if other is None else other)
        if pair in self.covariances:
            return self.covariances[pair]
        return self.covariances[pair[::-1]].mT

    def of(self, run: int) -> Moments:
        """One run's own moments as those of a stack of one, on the CPU."""
        return Moments(
            self.count,
            self.mean[[run]].cpu(),
            self.variance[[run]].cpu(),
            {(0, 0): self.covariance(run).cpu()},
        )

    def second_moment(self, run: int = 0) -> Tensor:
        """E[x x^T] (n, n), not centred."""
        return self.covariance(run) + torch.outer(self.mean[run], self.mean[run])


class MomentStream:
    """Accumulates the moments of one point, batch by batch."""

    def __init__(self, pairs: Iterable[RunPair] = ()) -> None:
        self.pairs = list(dict.fromkeys(pairs))
        self.count = 0

    def add(self, features: Tensor | Sequence[Tensor]) -> None:
        """Take in (K, B, n) features of any float type, or the runs' (B, n) one by one."""
        runs, (new, n) = len(features), features[0].shape
        if new == 0:
            return
        x = torch.empty(runs, new, n, dtype=torch.float64, device=features[0].device)
        for run in range(runs):
            x[run].copy_(features[run])
        if self.count == 0:
            self._mean = x.new_zeros(runs, n)
            self._square = x.new_zeros(runs, n)
            self._cross = x.new_zeros(len(self.pairs), n, n)
        mean = x.mean(dim=1)
        x -= mean[:, None]
        delta = mean - self._mean
        weight = self.count * new / (self.count + new)
        for run in range(runs):
            self._square[run] += x[run].square().sum(dim=0) + weight * delta[run].square()
        for cross, (a, b) in zip(self._cross, self.pairs, strict=True):
            cross.addmm_(x[a].mT, x[b])
            cross.addr_(delta[a], delta[b], alpha=weight)
        self._mean += delta * (new / (self.count + new))
        self.count += new

    def finish(self) -> Moments:
        """The moments of everything added."""
        if self.count == 0:
            raise ValueError("no samples were added")
        cross = self._cross / self.count
        return Moments(
            self.count, self._mean, self._square / self.count, dict(zip(self.pairs, cross, strict=True))
        )


def record(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    points: Mapping[Source, Iterable[RunPair]],
) -> dict[Source, Moments]:
    """Moments at several points of a stack of networks in one pass, in evaluation mode.

    Args:
        tensors: name to (K, *shape).
        inputs: (N, *input_shape), the same for every run.
        points: a ``Feature``, or a ``Point`` read as ``features`` and ``patches`` do, with the pairs of runs
            whose covariances to keep (``(k, k)`` for run k's own). Every position is a sample.
    """
    streams = {source: MomentStream(pairs) for source, pairs in points.items()}
    capture = list(dict.fromkeys(map(_point, points)))
    device = next(iter(tensors.values())).device
    with evaluating(module):
        parts = list(portions(tensors))
        widths = _widths(module, tensors, inputs[:2].to(device), points)
        step = chunk(len(inputs), parts[-1][0].stop * widths, itemsize=8, budget=_BUDGET)
        for samples in portioned(len(inputs), step):
            batch = inputs[samples].to(device)
            seen = [forward(module, part, batch, capture=capture)[1] for _, part in parts]
            for source, stream in streams.items():
                stream.add([run for part in seen for run in read(module, source, part[_point(source)])])
    return {source: stream.finish() for source, stream in streams.items()}


def _point(source: Source) -> Point:
    return source.point if isinstance(source, Feature) else source


def read(module: nn.Module, source: Source, captured: Tensor) -> Tensor:
    """What a point's samples are, (K, B, n): the inputs of a convolution are its patches (THEORY 1)."""
    if isinstance(source, Feature):
        return source.read(captured)
    part = module.get_submodule(source.module)
    if source.side == "input" and isinstance(part, nn.Conv2d):
        return patches(part, captured)
    return features(captured)


def has_patches(part: nn.Conv2d) -> bool:
    """Whether every neuron of a convolution reads the same patches, cut from maps with zeros around them."""
    return part.groups == 1 and part.padding_mode == "zeros" and not isinstance(part.padding, str)


def patches(part: nn.Conv2d, captured: Tensor) -> Tensor:
    """Patches (K, B * positions, C_in * k_h * k_w) of maps (K, B, C_in, H, W), in the weight's order."""
    if not has_patches(part):
        raise ValueError("patches of grouped, string-padded or non-zero-padded convolutions")
    assert not isinstance(part.padding, str)
    runs = captured.shape[0]
    cut = nn.functional.unfold(
        captured.flatten(0, 1), part.kernel_size, part.dilation, part.padding, part.stride
    )
    return cut.mT.reshape(runs, -1, cut.shape[1])


def sample(
    module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, point: Point, count: int, seed: int = 0
) -> Tensor:
    """(K, count, n) rows at a point, drawn without replacement by a seed; fewer if there are fewer."""
    draw = torch.Generator().manual_seed(seed)
    chosen = inputs[torch.randperm(len(inputs), generator=draw)[:count]]
    with evaluating(module):
        _, seen = forward(module, tensors, chosen.to(next(iter(tensors.values())).device), capture=[point])
    rows = read(module, point, seen[point])
    return rows[:, torch.randperm(rows.shape[1], generator=draw)[:count]]


def features(captured: Tensor) -> Tensor:
    """(K, B, n) features: the positions of (K, B, C, H, W) and the tokens of (K, B, T, n) are samples."""
    if captured.dim() == 5:
        captured = captured.permute(0, 1, 3, 4, 2)
    return captured.flatten(1, -2) if captured.dim() > 3 else captured


def _widths(module: nn.Module, tensors: Mapping[str, Tensor], few: Tensor, sources: Iterable[Source]) -> int:
    """Doubles that one sample of one run takes on its way."""
    first = {name: tensor[:1] for name, tensor in tensors.items()}
    _, seen = forward(module, first, few, capture={_point(source) for source in sources})
    # All that is captured is held in float32; one source at a time is read, and copied to float64.
    captured = sum(value.numel() for value in seen.values())
    widest = max(math.prod(read(module, source, seen[_point(source)]).shape[1:]) for source in sources)
    return (captured // 2 + 3 * widest // 2) // len(few)
