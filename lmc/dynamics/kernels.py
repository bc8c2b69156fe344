"""The empirical neural tangent kernel: inner products of the outputs' gradients (THEORY 6).

Theta(x, i; y, j) = sum over trained weights of d f_i(x) d f_j(y). Weights that a mask fixes do not train,
so they do not count.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from lmc.models.conduct import seeded
from lmc.models.modes import evaluating
from lmc.models.stack import State

COPIES = 3
"""Jacobians of one block that are in memory at once, at most: two blocks, and one under way."""


@dataclass(frozen=True)
class Rows:
    """The scalars whose gradients are taken: every chosen output at every input, input by input.

    ``inputs``: (N, *input_shape). ``outputs``: (M,) int64, places in the flattened output of one sample; of
    a graph, the one sample, these are classes of nodes.
    """

    inputs: Tensor
    outputs: Tensor

    def __len__(self) -> int:
        return len(self.inputs) * len(self.outputs)

    def blocks(self, most: int) -> list[Rows]:
        """Parts of at most ``most`` rows: whole inputs, or of a single input some outputs.

        Raises:
            ValueError: not even one input's outputs fit.
        """
        if len(self.inputs) == 1:
            return [Rows(self.inputs, part) for part in self.outputs.split(max(1, most))]
        if most < len(self.outputs):
            raise ValueError(f"{most} rows for {len(self.outputs)} outputs")
        return [Rows(part, self.outputs) for part in self.inputs.split(most // len(self.outputs))]


def tangent_kernel(
    module: nn.Module,
    state: Mapping[str, Tensor],
    rows: Rows,
    masks: Mapping[str, Tensor] | None = None,
    most: int | None = None,
) -> Tensor:
    """The kernel (R, R) in float64 of one network in evaluation mode, R = N M.

    Args:
        state: parameters and buffers by name, on the device that computes.
        masks: name to D, where a weight has one.
        most: rows whose Jacobian may be held at once; then it is computed several times. None: all.
    """
    parts = rows.blocks(len(rows) if most is None else most)
    device = next(iter(state.values())).device
    kernel = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=device)
    with evaluating(module, gradients=True), seeded(module, "forward"), differentiable():
        begin = 0
        for index, part in enumerate(parts):
            first = _jacobian(module, state, part, masks or {})
            own = slice(begin, begin + len(part))
            kernel[own, own] = _products(first, first)
            begin = other = own.stop
            for later in parts[index + 1 :]:
                second = _jacobian(module, state, later, masks or {})
                there = slice(other, other + len(later))
                kernel[own, there] = _products(first, second)
                kernel[there, own] = kernel[own, there].mT
                other = there.stop
                del second
            del first
    return kernel


@contextmanager
def differentiable() -> Iterator[None]:
    """Attention by plain products, which torch can differentiate both ways; vmap may compute run by run."""
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        yield


def _jacobian(
    module: nn.Module, state: Mapping[str, Tensor], rows: Rows, masks: Mapping[str, Tensor]
) -> State:
    """(rows, *shape) of every parameter, zero where a mask fixes it."""
    device = next(iter(state.values())).device
    inputs, outputs = rows.inputs.to(device), rows.outputs.to(device)
    names = [name for name, each in module.named_parameters() if each.requires_grad]
    parameters = {name: state[name] for name in names}
    buffers = {name: tensor for name, tensor in state.items() if name not in parameters}

    def chosen(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:  # the network may write into a copy
        return functional_call(module, {**weights, **buffers}, (x[None].clone(),)).flatten()[outputs]

    if len(inputs) == 1:
        found = _row_by_row(chosen, parameters, inputs[0])
    else:
        whole = vmap(jacrev(chosen), in_dims=(None, 0), randomness="same")(parameters, inputs)
        found = {name: value.flatten(0, 1) for name, value in whole.items()}
    for name, mask in masks.items():
        found[name].mul_(mask.to(device))
    return found


def _row_by_row(chosen: object, parameters: State, x: Tensor) -> State:
    """One backward pass per row: needs no memory per node of a graph, and no vmap rule of its operation."""
    with torch.enable_grad():
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
        values = chosen(leaves, x)  # type: ignore[operator]
    found = {name: tensor.new_zeros(len(values), *tensor.shape) for name, tensor in parameters.items()}
    for row, value in enumerate(values):
        gradients = torch.autograd.grad(value, list(leaves.values()), retain_graph=True, allow_unused=True)
        for into, gradient in zip(found.values(), gradients, strict=True):
            if gradient is not None:
                into[row] = gradient
    return found


def _products(first: State, second: State) -> Tensor:
    return sum(  # type: ignore[return-value]
        (first[name].reshape(len(first[name]), -1) @ second[name].reshape(len(second[name]), -1).mT).double()
        for name in first
    )


def kernel_alignment(a: Tensor, b: Tensor) -> float:
    """<A, B>_F / (||A||_F ||B||_F), from 0 to 1 for kernels; NaN where one is zero."""
    scale = float(a.norm() * b.norm())
    return float((a * b).sum()) / scale if scale > 0 else math.nan


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """||A - B||_F over the mean of ||A||_F and ||B||_F: unlike the alignment it sees a change of scale."""
    scale = float(a.norm() + b.norm()) / 2
    return float((a - b).norm()) / scale if scale > 0 else math.nan
