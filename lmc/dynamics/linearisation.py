"""Does a network still predict what its linearisation at an earlier moment says? (THEORY 6)"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.dynamics.agreement import as_targets
from lmc.dynamics.kernels import differentiable
from lmc.models.conduct import seeded
from lmc.models.modes import evaluating
from lmc.models.stack import chunk, forward, portioned, stack_of_one
from lmc.recording.evaluation import Losses, activation_size


@dataclass(frozen=True)
class Linearisation:
    """How well the linearised network stands in for the trained one.

    ``agreement``: share of samples with the same prediction; NaN for regression. ``error``: the share of the
    outputs' change that the linearisation misses, sqrt(E||f_lin - f||^2 / E||f - f_0||^2):
    0 where it is exact, 1 where it is no better than f_0; NaN where nothing changed.
    """

    agreement: float
    error: float


def linearised(
    module: nn.Module, base: Mapping[str, Tensor], state: Mapping[str, Tensor], inputs: Tensor
) -> tuple[Tensor, Tensor]:
    """f(x; w_0) and f(x; w_0) + J(x; w_0) (w - w_0), each of the outputs' shape.

    The product with the Jacobian takes two reverse passes and no Jacobian: forward mode would silently
    leave out operations that have no rule for it, such as a graph's. Linear in the parameters; running
    statistics stay those of ``base``.

    Args:
        base, state: parameters and buffers at w_0 and at w, on the device that computes.
        inputs: (B, *input_shape), there too. The module is in evaluation mode.
    """
    names = [name for name, _ in module.named_parameters()]
    buffers = {name: tensor for name, tensor in base.items() if name not in names}

    def outputs(*weights: Tensor) -> Tensor:
        given = dict(zip(names, weights, strict=True))
        return functional_call(module, {**given, **buffers}, (inputs.clone(),))

    start = tuple(base[name].detach() for name in names)
    direction = tuple((state[name] - base[name]).detach() for name in names)
    with torch.enable_grad(), seeded(module, "forward"), differentiable():
        before, change = torch.autograd.functional.jvp(outputs, start, direction)
    return before.detach(), before.detach() + change.detach()


def linearisation(
    module: nn.Module,
    base: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    correct: Losses,
) -> Linearisation:
    """The network linearised at ``base`` against the network itself at ``state``, in one pass over a split.

    Args:
        inputs, targets: (N, ...).
        correct: the task's accuracy of each sample, as for ``agreement``.
    """
    same = missed = changed = 0.0
    device = next(iter(state.values())).device
    stacked = stack_of_one(state)
    with evaluating(module, gradients=True):
        step = chunk(len(inputs), 4 * activation_size(module, inputs[:2])) if len(inputs) else 1
        for samples in portioned(len(inputs), step):
            x, y = inputs[samples].to(device), targets[samples].to(device)
            with torch.no_grad():
                trained = forward(module, stacked, x)[0][0]
            before, linear = linearised(module, base, state, x)
            same += float(correct(linear, as_targets(trained, y)).double().sum())
            missed += float((linear - trained).double().square().sum())
            changed += float((trained - before).double().square().sum())
    error = math.sqrt(missed / changed) if changed > 0 else math.nan
    return Linearisation(same / len(inputs) if len(inputs) else math.nan, error)
