"""When does the straight line follow the merged representation? Layer by layer (THEORY 4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.models.modes import evaluating
from lmc.models.stack import Point, State, chunk, forward, portions, stack_of_one
from lmc.paths.cuts import calls, captured, decides
from lmc.paths.first_layer import Between
from lmc.paths.scene import Scene
from lmc.recording import features
from lmc.recording.evaluation import RowsOfStack
from lmc.recording.moments import feature_axis
from lmc.symmetry import Following


@dataclass(frozen=True)
class Segment:
    """A linear map and what stands between its output and what the next layer reads (phi).

    ``calls``: how often the layer is called; ``output`` and ``end`` are of the last call. Where ``end`` is
    ``output``, phi is the identity. ``axis``: of the neurons at ``end``, counted from the batch axis, 0; None
    where they have none of their own.
    """

    layer: str
    calls: int
    output: Point
    end: Point
    axis: int | None

    @property
    def inputs(self) -> list[Point]:
        """What the layer reads, one point per call."""
        return [Point(self.layer, "input", call) for call in range(self.calls)]


@dataclass(frozen=True)
class Gap:
    """What stands between the weight average and the mean representation at one layer, (L,) float64 each."""

    cross_term: Tensor
    additivity_gap: Tensor
    feature_gap: Tensor
    feature_cosine: Tensor


def segments(
    module: nn.Module, state: Mapping[str, Tensor], inputs: Tensor, layers: Sequence[str]
) -> list[Segment]:
    """The layers with their phi: as far before the next layer as their output alone decides.

    So it is norm, activation and pooling in a chain; the norm of a layer that adds into a stream; nothing
    for the last layer. A layer that is never called is left out.

    Args:
        inputs: (B, *input_shape), a few.
        layers: names of linear and convolution layers.
    """
    made = calls(module, state, inputs)
    following = Following(module, inputs)

    def axis(layer: str, output: Point, end: Point) -> int | None:
        seen = captured(module, stack_of_one(state), inputs[:2], [output, end])
        before, after = seen[output][0].dim(), seen[end][0].dim()
        own = feature_axis(module.get_submodule(layer), before)
        moves = output != end and own is not None and max(before, after) > 2
        found = following.axis(output, own, end) if moves and own is not None else own
        return own if found is None and before == after else found if after > 2 else None

    found = []
    for layer in layers:
        own = [call for call in made if call.point.module == layer]
        if not own:
            continue
        last = own[-1]
        until = min((call.began for call in made if call.layer and call.began > last.ended), default=math.inf)
        between = [call.point for call in made if call.point.module and last.ended < call.ended < until]
        behind = (point for point in reversed(between) if decides(module, state, inputs, last.point, point))
        end = next(behind, last.point)
        found.append(Segment(layer, len(own), last.point, end, axis(layer, last.point, end)))
    return found


def cross_terms(
    alphas: Tensor, crossing: Tensor, square_a: Tensor, square_b: Tensor, product: Tensor
) -> Tensor:
    """E||l (1-l) (W_A - W_B)(h_A - h_B)||^2 / E||(1-l) W_A h_A + l W_B h_B||^2, (L,).

    From four second moments of the layer's outputs without biases, the same at every l: E||(W_A - W_B)
    (h_A - h_B)||^2, E||W_A h_A||^2, E||W_B h_B||^2 and E<W_A h_A, W_B h_B>, or their sums over samples.
    """
    return _ratio((alphas * (1 - alphas)) ** 2 * crossing, _mean_square(alphas, square_a, square_b, product))


def gaps(scene: Scene, segments: Sequence[Segment], split: str) -> dict[str, Gap]:
    """The gap of every layer at every l: one pass over a split, in memory that does not grow with it.

    Positions and tokens are samples. All layers' phi are computed in one forward pass, as their outputs
    are all replaced and decide what comes behind. BatchNorm statistics are re-estimated where the scene
    asks for it: of A, of B, of the network at every l, and of phi_m on the averaged outputs that it is
    given; else phi_m has those of the network at l.

    Args:
        split: the scene's split over which the expectations are.
    """
    module, alphas, ends, points = scene.module, scene.alphas, scene.ends(), scene.weights()
    outputs = [segment.output for segment in segments]
    behind = list(dict.fromkeys(segment.end for segment in segments))
    read = [each for segment in segments for each in segment.inputs]
    everything = list(dict.fromkeys([*read, *outputs, *behind]))

    def between(seen: Mapping[Point, Sequence[Tensor]]) -> dict[str | Point, RowsOfStack]:
        return {point: Between(seen[point][0], seen[point][1], alphas) for point in outputs}

    averaged = scene.reestimated(points, lambda x: between(captured(module, ends, x, outputs)))
    points = scene.reestimated(points)
    device = next(iter(points.values())).device
    sums = {segment: _Sums(alphas, device) for segment in segments}
    for x in _batches(module, ends, scene.splits[split][0], everything):
        seen = captured(module, ends, x, everything)
        means = {segment: own.ends(module, segment, ends, seen) for segment, own in sums.items()}
        known = between(seen)
        with evaluating(module):
            for rows, part in portions(points):
                _, line = forward(module, part, x, capture=behind)
                for segment, own in sums.items():
                    own.line(rows, features(line[segment.end], segment.axis), means[segment][rows])
            for rows, part in portions(averaged):
                here = {point: value[rows] for point, value in known.items()}
                _, phi = forward(module, part, x, capture=behind, replace=here)
                for segment, own in sums.items():
                    if segment.end != segment.output:
                        own.phi(rows, features(phi[segment.end], segment.axis), means[segment][rows])
    return {segment.layer: own.finish() for segment, own in sums.items()}


def _batches(module: nn.Module, ends: State, inputs: Tensor, points: Sequence[Point]) -> Iterator[Tensor]:
    """The inputs in parts of which everything that is captured stays within a budget."""
    device = next(iter(ends.values())).device
    few = inputs[:2].to(device)
    seen = captured(module, ends, few, points)
    width = sum(math.prod(run.shape) for runs in seen.values() for run in runs) // len(few)
    return (part.to(device) for part in inputs.split(chunk(len(inputs), 2 * width)))


class _Sums:
    """Sums over samples at one layer; (L,) float64, or numbers that are the same at every l."""

    def __init__(self, alphas: Sequence[float], device: torch.device) -> None:
        self.alphas = torch.tensor(alphas, dtype=torch.float64, device=device)
        zero = torch.zeros((), dtype=torch.float64, device=device)
        self.crossing, self.outputs, self.features = zero, zero.expand(3), zero.expand(3)
        self.added, self.apart, self.turned = (torch.zeros_like(self.alphas) for _ in range(3))
        self.count = 0

    def ends(
        self, module: nn.Module, segment: Segment, ends: State, seen: Mapping[Point, Sequence[Tensor]]
    ) -> Between:
        """Take in what A and B have before the layer and after phi; m at every l, (l, samples, n)."""
        part = module.get_submodule(segment.layer)
        a, b = ends[f"{segment.layer}.weight"]
        for point in segment.inputs:
            x, y = seen[point]
            self.outputs = self.outputs + _products(_linear(part, a, x), _linear(part, b, y))
            self.crossing = self.crossing + _linear(part, a - b, x - y).double().square().sum()
        after_a, after_b = (features(run[None], segment.axis)[0].double() for run in seen[segment.end])
        self.features = self.features + _products(after_a, after_b)
        self.count += len(after_a)
        return Between(after_a, after_b, self.alphas.tolist())

    def line(self, rows: slice, line: Tensor, mean: Tensor) -> None:
        """Take in what the networks at some l have after phi, (l, samples, n)."""
        line = line.double()
        self.apart[rows] += (line - mean).square().sum(dim=(1, 2))
        both_zero = ((line == 0) & (mean == 0)).all(dim=2)
        turned = 1 - nn.functional.cosine_similarity(line, mean, dim=2, eps=1e-150)
        self.turned[rows] += turned.clamp(min=0).masked_fill(both_zero, 0).sum(dim=1)

    def phi(self, rows: slice, phi: Tensor, mean: Tensor) -> None:
        """Take in phi_m of the mean outputs, (l, samples, n)."""
        self.added[rows] += (phi.double() - mean).square().sum(dim=(1, 2))

    def finish(self) -> Gap:
        """The four ratios."""
        square_a, square_b, _ = self.features
        found = (
            cross_terms(self.alphas, self.crossing, *self.outputs),
            _ratio(self.added, _mean_square(self.alphas, *self.features)),
            _ratio(self.apart, (1 - self.alphas) * square_a + self.alphas * square_b),
            self.turned / self.count,
        )
        return Gap(*(value.cpu() for value in found))


def _linear(part: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    """The layer's linear map with other weights and no bias."""
    bias = getattr(part, "bias", None)
    given = {"weight": weight} if bias is None else {"weight": weight, "bias": torch.zeros_like(bias)}
    with torch.no_grad():
        return functional_call(part, given, (x,))


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Sums of a^2, b^2 and a b."""
    a, b = a.double(), b.double()
    return torch.stack([a.square().sum(), b.square().sum(), (a * b).sum()])


def _mean_square(alphas: Tensor, square_a: Tensor, square_b: Tensor, product: Tensor) -> Tensor:
    """||(1-l) a + l b||^2."""
    return (1 - alphas) ** 2 * square_a + alphas**2 * square_b + 2 * alphas * (1 - alphas) * product


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, with 0 / 0 = 0."""
    return torch.where(part == 0, torch.zeros_like(part), part / whole)
