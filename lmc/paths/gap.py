"""When does the straight line follow the merged representation? Layer by layer (THEORY 4)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.models.stack import Point, State, batch_norms, chunk, forward, portions, stack_states
from lmc.paths.line import Between, interpolate
from lmc.paths.sections import Call, Section, bypass, calls, calls_of, captured, evaluating, has_weight
from lmc.recording import reestimate
from lmc.recording.moments import Source, read
from lmc.symmetry import Group


@dataclass(frozen=True)
class Block:
    """A linear map and what stands between its output and what the next layer reads (phi).

    ``calls``: how often the layer is called; ``after`` speaks of the last. ``output`` itself there: phi is
    the identity.
    """

    layer: str
    calls: int
    output: Point
    after: Source

    @property
    def phi(self) -> Point | None:
        """Where phi ends; None for the identity."""
        point = self.after if isinstance(self.after, Point) else self.after.point
        return None if (point.module, point.side) == (self.output.module, self.output.side) else point


@dataclass(frozen=True)
class Gap:
    """What stands between the weight average and the mean representation at one layer, (L,) float64 each."""

    cross_term: Tensor
    additivity_gap: Tensor
    feature_gap: Tensor
    feature_cosine: Tensor


def blocks(
    module: nn.Module,
    state: Mapping[str, Tensor],
    inputs: Tensor,
    layers: Sequence[str],
    groups: Iterable[Group] = (),
) -> list[Block]:
    """The layers with their phi: as far as the activation, else the norm, as nothing else goes in.

    A layer that adds into a stream has its norm where it has one of its own, else phi is the identity; so
    it is for the last layer.

    Args:
        inputs: a small batch.
        groups: say where the layers' neurons are recorded; without, phi goes as far as the next layer.
    """
    tensors = {name: tensor[None] for name, tensor in state.items()}
    made = calls(module, tensors, inputs)
    groups = list(groups)
    found = []
    for layer in layers:
        own = calls_of(made, Point(layer, "output"))
        if not own:
            continue
        last = own[-1]
        output = last.point if len(own) > 1 else Point(layer, "output")
        recorded = [group.points for group in groups if layer in group.layers]
        after: Source = output
        for feature in (each for points in recorded for each in points.get("linear", ())):
            after = feature if feature.point.module == layer else after
        candidates: list[Source] = [
            each for kind in ("activation", "norm") for points in recorded for each in points.get(kind, ())
        ]
        if not groups:
            candidates = _until_next(module, made, last)
        for source in candidates:
            point = source if isinstance(source, Point) else source.point
            there = calls_of(made, point)
            if not there or there[-1].ended < last.ended or point.module == layer:
                continue
            if bypass(module, tensors, inputs, output, point, made) is None:
                after = source
                break
        found.append(Block(layer, len(own), output, after))
    return found


def _until_next(module: nn.Module, made: Sequence[Call], last: Call) -> list[Source]:
    """What is computed after a layer's last call and before the next layer, the last first."""
    following = [call.began for call in made if has_weight(module, call) and call.began > last.ended]
    until = min(following, default=0)
    return [
        call.point for call in reversed(made) if call.shape is not None and last.ended < call.ended < until
    ]


def cross_terms(
    alphas: Tensor, crossing: Tensor, square_a: Tensor, square_b: Tensor, product: Tensor
) -> Tensor:
    """E||l (1-l) (W_A - W_B)(h_A - h_B)||^2 / E||(1-l) W_A h_A + l W_B h_B||^2, (L,).

    From four second moments of the layer's outputs without biases, the same at every l: E||(W_A - W_B)
    (h_A - h_B)||^2, E||W_A h_A||^2, E||W_B h_B||^2 and E<W_A h_A, W_B h_B>, or their sums over samples.
    """
    l = alphas  # noqa: E741
    mean = (1 - l) ** 2 * square_a + l**2 * square_b + 2 * l * (1 - l) * product
    return _ratio((l * (1 - l)) ** 2 * crossing, mean)


def gaps(
    module: nn.Module,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    alphas: Sequence[float],
    blocks: Sequence[Block],
    inputs: Tensor,
    statistics: Tensor | None = None,
) -> dict[str, Gap]:
    """The gap of every layer at every l: one pass over the data, in memory that does not grow with them.

    Args:
        a, b: state dicts of one architecture.
        inputs: (N, *input_shape) of the split that the expectations are over.
        statistics: training inputs from which to re-estimate BatchNorm statistics: of A, of B, of the
            network at every l, and of phi_m on the averaged outputs that it is given; None takes A's and
            B's, and interpolates.
    """
    ends, points = stack_states([a, b]), interpolate(a, b, alphas)
    sections = {
        block.layer: Section(module, ends, alphas, block.output, block.phi) for block in blocks if block.phi
    }
    norms: dict[str, State] = {}
    if statistics is not None:
        ends = reestimate(module, ends, statistics)
        points = reestimate(module, points, statistics)
        for layer, section in sections.items():
            section.ends = ends
            norms[layer] = _statistics(module, points, statistics, section)
    device = next(iter(points.values())).device
    sums = {block.layer: _Sums(alphas, device) for block in blocks}
    with evaluating(module):
        for x in _batches(module, ends, inputs, blocks):
            x = x.to(device)
            seen = captured(module, ends, x, _points(blocks))
            means = {}
            for block in blocks:
                own = sums[block.layer]
                own.cross(module, block, ends, seen)
                means[block.layer] = own.mean(*_read(module, block, seen))
            for rows, part in portions(points):
                _, line = forward(module, part, x, capture=[_end(block) for block in blocks])
                for block in blocks:
                    own = sums[block.layer]
                    own.line(rows, read(module, block.after, line[_end(block)]), means[block.layer])
                for layer, section in sections.items():
                    known = section.between(x, *seen[section.start])
                    here = {where: value[rows] for where, value in known.items()}
                    again = {name: tensor[rows] for name, tensor in norms.get(layer, {}).items()}
                    _, phi = forward(module, {**part, **again}, x, capture=[section.end], replace=here)
                    after = next(block.after for block in blocks if block.layer == layer)
                    sums[layer].phi(rows, read(module, after, phi[section.end]), means[layer])
    return {layer: own.finish() for layer, own in sums.items()}


def _end(block: Block) -> Point:
    return block.phi or block.output


def _points(blocks: Iterable[Block]) -> list[Point]:
    found: list[Point] = []
    for block in blocks:
        found += [*_inputs(block), block.output, _end(block)]
    return list(dict.fromkeys(found))


def _inputs(block: Block) -> list[Point]:
    return [Point(block.layer, "input", call) for call in range(block.calls)]


def _read(module: nn.Module, block: Block, seen: Mapping[Point, Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """What A and B have after phi, (1, samples, n) each."""
    a, b = (read(module, block.after, run[None]) for run in seen[_end(block)])
    return a, b


def _batches(module: nn.Module, ends: State, inputs: Tensor, blocks: Sequence[Block]) -> Iterator[Tensor]:
    """The inputs in parts of which everything that is captured stays within a budget."""
    device = next(iter(ends.values())).device
    seen = captured(module, ends, inputs[:1].to(device), _points(blocks))
    width = sum(math.prod(run.shape) for runs in seen.values() for run in runs)
    return iter(inputs.split(chunk(len(inputs), 2 * width)))


def _statistics(module: nn.Module, points: State, inputs: Tensor, section: Section) -> State:
    """Running statistics (L, n) of the BatchNorms in a section, on the mean of what goes into it."""
    example = inputs[:2].to(next(iter(points.values())).device)
    names = [name for name in batch_norms(module) if section.holds(example, name)]
    if not names:
        return {}
    fresh = reestimate(module, points, inputs, section.replacements)
    return {
        f"{name}.{key}": fresh[f"{name}.{key}"] for name in names for key in ("running_mean", "running_var")
    }


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Zero where nothing is nothing's part."""
    return torch.where(part == 0, torch.zeros_like(part), part / whole)


class _Sums:
    """Sums over samples at one layer; (L,) float64, or numbers that are the same at every l."""

    def __init__(self, alphas: Sequence[float], device: torch.device) -> None:
        self.alphas = torch.tensor(alphas, dtype=torch.float64, device=device)
        zero = torch.zeros((), dtype=torch.float64, device=device)
        self.crossing, self.outputs, self.features = zero, zero.expand(3), zero.expand(3)
        self.added, self.apart, self.turned = (torch.zeros_like(self.alphas) for _ in range(3))
        self.count = 0

    def cross(
        self, module: nn.Module, block: Block, ends: State, seen: Mapping[Point, Sequence[Tensor]]
    ) -> None:
        """Take in what goes into the layer in A and B."""
        part = module.get_submodule(block.layer)
        a, b = ends[f"{block.layer}.weight"]
        for point in _inputs(block):
            x, y = seen[point]
            self.outputs = self.outputs + _products(_linear(part, a, x), _linear(part, b, y))
            self.crossing = self.crossing + _linear(part, a - b, x - y).double().square().sum()

    def mean(self, a: Tensor, b: Tensor) -> Between:
        """Take in what A and B have after phi, (1, samples, n); m at every l."""
        self.features = self.features + _products(a, b)
        self.count += a.shape[1]
        return Between(a[0], b[0], self.alphas.tolist())

    def line(self, rows: slice, line: Tensor, mean: Between) -> None:
        """Take in what the networks at some l have after phi, (l, samples, n)."""
        m = mean[rows]
        self.apart[rows] += (line.double() - m).square().sum(dim=(1, 2))
        both_zero = ((line == 0) & (m == 0)).all(dim=2)
        turned = 1 - nn.functional.cosine_similarity(line.double(), m.double(), dim=2, eps=1e-150)
        self.turned[rows] += turned.masked_fill(both_zero, 0).sum(dim=1)

    def phi(self, rows: slice, phi: Tensor, mean: Between) -> None:
        """Take in phi_m of the mean outputs, (l, samples, n)."""
        self.added[rows] += (phi.double() - mean[rows]).square().sum(dim=(1, 2))

    def finish(self) -> Gap:
        """The four ratios."""
        l, (square_a, square_b, product) = self.alphas, self.features  # noqa: E741
        of_mean = (1 - l) ** 2 * square_a + l**2 * square_b + 2 * l * (1 - l) * product
        found = (
            cross_terms(l, self.crossing, *self.outputs),
            _ratio(self.added, of_mean),
            _ratio(self.apart, (1 - l) * square_a + l * square_b),
            self.turned / self.count,
        )
        return Gap(*(value.cpu() for value in found))


def _linear(part: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    """The layer's linear map with other weights and no bias."""
    given = {"weight": weight}
    if getattr(part, "bias", None) is not None:
        given["bias"] = torch.zeros_like(part.bias)  # type: ignore[arg-type]
    return functional_call(part, given, (x,))


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Sums of a^2, b^2 and a b."""
    a, b = a.double(), b.double()
    return torch.stack([a.square().sum(), b.square().sum(), (a * b).sum()])
