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
Place = Point | Feature


@dataclass(frozen=True)
class Pooled:
    """Several places whose samples count together: what a layer reads in each of its calls."""

    parts: tuple[Place, ...]


Source = Place | Pooled

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
        points: a ``Feature``, a ``Point`` read as ``read`` does, or several of them pooled, with the pairs of
            runs whose covariances to keep (``(k, k)`` for run k's own). Every position is a sample.
    """
    streams = {source: MomentStream(pairs) for source, pairs in points.items()}
    capture = _captured(points)
    device = next(iter(tensors.values())).device
    with evaluating(module):
        parts = list(portions(tensors))
        widths = _widths(module, tensors, inputs[:2].to(device), points)
        step = chunk(len(inputs), parts[-1][0].stop * widths, itemsize=8, budget=_BUDGET)
        for samples in portioned(len(inputs), step):
            batch = inputs[samples].to(device)
            seen = [forward(module, part, batch, capture=capture)[1] for _, part in parts]
            for source, stream in streams.items():
                for place in _places(source):
                    stream.add([run for part in seen for run in read(module, place, part[_point(place)])])
    return {source: stream.finish() for source, stream in streams.items()}


def _places(source: Source) -> tuple[Place, ...]:
    return source.parts if isinstance(source, Pooled) else (source,)


def _point(place: Place) -> Point:
    return place.point if isinstance(place, Feature) else place


def _captured(sources: Iterable[Source]) -> list[Point]:
    return list(dict.fromkeys(_point(place) for source in sources for place in _places(source)))


def read(module: nn.Module, place: Place, captured: Tensor) -> Tensor:
    """What a point's samples are, (K, B, n): the inputs of a convolution are its patches (THEORY 1)."""
    if isinstance(place, Feature):
        return place.read(captured)
    part = module.get_submodule(place.module)
    if place.side == "input" and isinstance(part, nn.Conv2d):
        return patches(part, captured)
    return features(captured, feature_axis(part, captured.dim() - 1))


def feature_axis(part: nn.Module, dims: int) -> int | None:
    """The axis of the neurons in what a layer is given or gives, counted from the batch axis, 0.

    The last one of linear layers and embeddings, whatever stands before it; 1 of convolutions. None of other
    modules, which leave it where it was, or move it.

    Args:
        dims: axes of the tensor, the batch axis among them.
    """
    if dims < 2:
        return None
    if isinstance(part, (nn.Linear, nn.Bilinear, nn.Embedding)):
        return dims - 1
    return 1 if isinstance(part, nn.modules.conv._ConvNd) else None


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
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    source: Source,
    count: int,
    seed: int = 0,
) -> Tensor:
    """(K, count, n) rows at a source, drawn without replacement by a seed; fewer if there are fewer."""
    draw = torch.Generator().manual_seed(seed)
    chosen = inputs[torch.randperm(len(inputs), generator=draw)[:count]]
    with evaluating(module):
        x = chosen.to(next(iter(tensors.values())).device)
        _, seen = forward(module, tensors, x, capture=_captured([source]))
    rows = torch.cat([read(module, place, seen[_point(place)]) for place in _places(source)], dim=1)
    return rows[:, torch.randperm(rows.shape[1], generator=draw)[:count]]


def features(captured: Tensor, axis: int | None = None) -> Tensor:
    """(K, samples, n) features of (K, B, ...): all other axes, such as positions and tokens, are samples.

    Args:
        axis: of the features, counted from the batch axis, 0. None guesses by the number of axes: channels
            of (K, B, C, H, W), else the last.
    """
    if axis is None:
        axis = 1 if captured.dim() == 5 else captured.dim() - 2
    moved = captured if axis == captured.dim() - 2 else captured.movedim(axis + 1, -1)
    return moved.flatten(1, -2) if moved.dim() > 3 else moved


def _widths(module: nn.Module, tensors: Mapping[str, Tensor], few: Tensor, sources: Iterable[Source]) -> int:
    """Doubles that one sample of one run takes on its way."""
    first = {name: tensor[:1] for name, tensor in tensors.items()}
    _, seen = forward(module, first, few, capture=_captured(sources))
    # All that is captured is held in float32; one source at a time is read, and copied to float64.
    captured = sum(value.numel() for value in seen.values())
    places = [place for source in sources for place in _places(source)]
    widest = max(math.prod(read(module, place, seen[_point(place)]).shape[1:]) for place in places)
    return (captured // 2 + 3 * widest // 2) // len(few)
