"""Weights and inputs at which a wrong permutation shows: where a network's groups are tried."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.core.errors import LmcError
from lmc.core.seeds import generator
from lmc.models.modes import evaluating
from lmc.models.stack import Point, State, aliases, batch_norms, forward, stack_of_one, state_of
from lmc.symmetry.precision import Wide, converted

SAMPLES = 8
_LARGEST = 1 << 22  # numbers in all inputs together; of larger samples, such as graphs, none are added
_GAINS = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 0.7, 0.5)
_ALIVE = 1e-3
_FEW = 2

Seen = tuple[Tensor, dict[Point, Tensor]]
"""Outputs (B, ...) and what was captured, (1, B, ...)."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A network in one float type, with weights at which its outputs differ between samples.

    Attributes:
        step: samples at a time.
        spread: largest distance of a sample's outputs from their mean, over the largest output.
    """

    model: nn.Module
    state: State
    inputs: Tensor
    points: tuple[Point, ...]
    step: int
    spread: float = 0.0

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return next((each.dtype for each in self.state.values() if each.is_floating_point()), torch.float64)

    @property
    def few(self) -> int:
        """Samples at which one family alone, and all points, are looked at; they run together."""
        return _FEW if self.step == SAMPLES else self.step

    def run(self, state: State, samples: int | None = None) -> Tensor:
        """Outputs (B, ...) for some weights and the first samples."""
        tensors = stack_of_one(state)
        with self.widely(), evaluating(self.model):
            parts = [forward(self.model, tensors, x)[0] for x in self.inputs[:samples].split(self.step)]
        return torch.cat(parts, dim=1)[0]

    def seen(self, state: State) -> Seen:
        """Outputs for a few samples, and what is captured at the points."""
        tensors = stack_of_one(state)
        with self.widely(), evaluating(self.model):
            outputs, seen = forward(self.model, tensors, self.inputs[: self.few], capture=self.points)
        return outputs[0], seen

    def again(self) -> Tensor:
        """The outputs once more, with random numbers of their own, whatever ``forward`` seeds."""
        with self.widely(), evaluating(self.model):
            return torch.cat([self.plain(self.state, batch) for batch in self.inputs.split(self.step)])

    def plain(self, state: State, batch: Tensor) -> Tensor:
        """The outputs for some weights, which the network may change, in the modes that its parts are in."""
        return functional_call(self.model, state, (batch.clone(),), tie_weights=False)

    @contextmanager
    def widely(self) -> Iterator[None]:
        """All in float64, where that is what it is tried in."""
        with torch.no_grad(), Wide() if self.dtype == torch.float64 else nullcontext():
            yield

    def rounded(self) -> State:
        """The weights, each changed by about one unit of its last place."""
        noise = generator("verify", "rounding")
        return {
            name: tensor * (1 + torch.finfo(tensor.dtype).eps * _normal(tensor, noise))
            if tensor.is_floating_point()
            else tensor
            for name, tensor in self.state.items()
        }


def trial(model: nn.Module, example_input: Tensor, points: tuple[Point, ...]) -> Trial:
    """The network in float64, or in float32 where it does not run in that, at weights that keep it alive.

    Every tensor gets noise at its own scale, so that no two neurons are alike, and the weights a common
    gain: the first of a few at which the samples' outputs differ. A deep network saturates, or forgets its
    inputs, at other gains, and its outputs are then equal whatever is permuted.

    Raises:
        LmcError: the network runs on the input in neither.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for dtype in (torch.float64, torch.float32):
            own = converted(model, dtype)
            try:
                found = max(_tried(own, example_input, points, dtype), key=lambda each: each.spread)
            except Exception as error:  # whatever the network's own code raises
                failure = error
            else:
                return found
    raise LmcError(f"{type(model).__name__} does not run on the inputs: {failure}") from failure


def _tried(
    model: nn.Module, example: Tensor, points: tuple[Point, ...], dtype: torch.dtype
) -> Iterator[Trial]:
    inputs, step = _inputs(example, dtype), SAMPLES
    for gain in _GAINS:
        state = _weights(model, gain)
        try:
            found = Trial(model, state, inputs, points, step)
            found = _calibrated(found)
            outputs = found.run(found.state)
        except Exception:
            if step == len(example):
                raise
            # It runs on batches of one size only, or on no values but those that it was given.
            inputs, step = _cast(example.cpu(), dtype), len(example)
            found = _calibrated(Trial(model, state, inputs, points, step))
            outputs = found.run(found.state)
        spread = _spread(outputs)
        yield Trial(model, found.state, inputs, points, step, spread)
        if spread >= _ALIVE:
            return


def _spread(outputs: Tensor) -> float:
    """0 where outputs are not finite. Of a single sample, such as a graph, its rows count as samples."""
    rows = outputs.flatten(0, -2) if len(outputs) == 1 and outputs.dim() > 2 else outputs
    largest = float(rows.abs().max())
    distance = float((rows - rows.mean(dim=0)).abs().max())
    return distance / largest if math.isfinite(largest) and largest > 0 else 0.0


def _weights(model: nn.Module, gain: float) -> State:
    """A state with noise; buffers keep their signs and zeros, as variances and masks must."""
    noise = generator("verify", "weights")
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    state = {
        name: _noisy(tensor, name in parameters, noise) if tensor.is_floating_point() else tensor
        for name, tensor in state_of(model).items()
    }
    for name in parameters & {*state}:
        if state[name].dim() > 1:
            state[name] = state[name] * gain
    return state | {name: state[first] for name, first in aliases(model).items()}


def _noisy(tensor: Tensor, parameter: bool, noise: torch.Generator) -> Tensor:
    finite = tensor[tensor.isfinite()]
    scale = float(finite.square().mean().sqrt()) if len(finite) else 0.0
    if scale == 0:
        readers = tensor[0].numel() if tensor.dim() > 1 else 100
        return tensor + _normal(tensor, noise) / math.sqrt(max(1, readers))
    moved = tensor * (0.3 * _normal(tensor, noise)).exp()
    one_sign = bool((finite > 0).all() or (finite < 0).all())
    return moved + 0.1 * scale * _normal(tensor, noise) if parameter and not one_sign else moved


def _normal(like: Tensor, noise: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=noise, dtype=torch.float64).to(like.dtype)


def _calibrated(found: Trial) -> Trial:
    """With BatchNorm statistics of the trial's own inputs: a deep network explodes with those of others."""
    parts = [found.model.get_submodule(name) for name in batch_norms(found.model)]
    if not parts or found.step < 2:
        return found
    state = {name: tensor.clone() for name, tensor in found.state.items()}
    momenta = [part.momentum for part in parts]
    try:
        for part in parts:
            part.train()
            part.momentum = 1.0  # type: ignore[assignment]
        with found.widely():
            found.plain(state, found.inputs[: found.step])
    finally:
        for part, momentum in zip(parts, momenta, strict=True):
            part.eval()
            part.momentum = momentum
    for name in batch_norms(found.model):
        variance = state[f"{name}.running_var"]
        variance.clamp_(min=1e-4 * float(variance.max()))
    return Trial(found.model, state, found.inputs, found.points, found.step)


def _inputs(example: Tensor, dtype: torch.dtype) -> Tensor:
    """At least eight different samples: the given ones, and others like them."""
    given = example[:SAMPLES].detach().cpu()
    found = torch.unique(given, dim=0)
    missing = SAMPLES - len(found)
    if missing <= 0 or found[0].numel() * SAMPLES > _LARGEST:
        return _cast(given, dtype)
    noise = generator("verify", "inputs")
    if given.is_floating_point():
        base = found[torch.arange(missing) % len(found)]
        scale = float(base.square().mean().sqrt()) or 1.0
        return _cast(torch.cat([found, base + (scale * _normal(base, noise)).to(base.dtype)]), dtype)
    # A column of integers keeps to the values seen in it, which may be the classes of one feature.
    rows = torch.randint(len(found), (missing, *found.shape[1:]), generator=noise)
    mixed = found.gather(0, rows)
    if len(found) == 1:
        values = found.unique()
        mixed = values[torch.randint(len(values), mixed.shape, generator=noise)]
    return torch.cat([found, mixed])


def _cast(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    return inputs.detach().to(dtype) if inputs.is_floating_point() else inputs.detach()
