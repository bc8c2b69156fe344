"""How a network can be trained, found by training it on a few samples.

Under vmap, random numbers would not be each run's own, and many operations have no rule: recurrent layers,
``.item()``, a branch on a value. Such networks train one run at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmc.core import seeds
from lmc.core.errors import first_line
from lmc.models.conduct import SAMPLES, conduct, notes, undisturbed
from lmc.models.stack import State, stack_states
from lmc.recording.evaluation import Losses
from lmc.training.loop import Batch, BatchLoss
from lmc.training.networks import Trainee, batch_loss


@dataclass(frozen=True)
class Way:
    """How a network can be trained.

    Attributes:
        alone: why its runs must train one at a time; empty where they may train stacked.
        recomputes: whether its backward pass runs parts of it again (``torch.utils.checkpoint``).
        seeded: whether all that it draws follows from the seed.
    """

    alone: str = ""
    recomputes: bool = False
    seeded: bool = True


@dataclass(frozen=True)
class Samples:
    """A few samples (B, ...) with their targets, and the loss of outputs (K, B, ...)."""

    inputs: Tensor
    targets: Tensor
    losses: Losses

    def objective(self, trainee: Trainee, runs: int) -> BatchLoss:
        """The loss of K networks on the samples."""

        def none(outputs: Tensor, targets: Tensor) -> Tensor:
            return torch.zeros_like(self.losses(outputs, targets))

        return batch_loss(trainee, self.inputs, self.targets, self.losses, none, [0] * runs)


def way_of_training(module: nn.Module, state: Mapping[str, Tensor], samples: Samples) -> Way:
    """Try a network, in training mode, on samples.

    The same step is taken twice, once more while the module holds the tensors, and in a stack of two: it
    must come to the same gradients and buffers. The tensors differ from those of the module, so that a
    backward pass that reads the module's shows.

    Args:
        state: tensors by name, (*shape); not changed.
    """
    few = Samples(samples.inputs[:SAMPLES], samples.targets[:SAMPLES], samples.losses)
    states = [_shaken(module, state, number) for number in range(2)]
    draws = conduct(module, state, few.inputs).draws
    once, held, again = (_step(module, states[:1], few, held) for held in (False, True, True))
    if _differing(held, again):
        return Way("draws random numbers that no seed reaches", recomputes=True, seeded=False)
    if _differing(once, held):
        return Way("runs parts again in the backward pass", recomputes=True)
    return Way("draws random numbers" if draws else _refusal(module, states, few, once))


def _refusal(module: nn.Module, states: Sequence[State], few: Samples, first: State) -> str:
    """Why a stack cannot train; empty where it gives what each run gives alone."""
    second = _step(module, states[1:], few)
    try:
        both = _step(module, states, few)
    except Exception as error:  # whatever an operation raises that vmap has no rule for
        return f"cannot run under vmap: {first_line(error)}"
    if reason := notes(module).get("refusal"):
        return f"cannot run under vmap: {reason}"
    differing = _differing(both, {name: torch.cat([first[name], second[name]]) for name in first})
    return f"has other gradients under vmap, of {differing[0]}" if differing else ""


def _step(module: nn.Module, states: Sequence[State], few: Samples, held: bool = False) -> State:
    """Losses, gradients and buffers of runs (K, ...) after one batch."""
    trainee = Trainee(module, stack_states(states))
    for leaf in trainee.leaves.values():
        leaf.requires_grad_(True)
    objective = few.objective(trainee, len(states))
    batch = Batch(0, 0, torch.arange(len(few.inputs)).expand(len(states), -1))

    def passes() -> Tensor:
        losses, _ = objective(batch)
        losses.sum().backward()
        return losses.detach()

    with undisturbed(module):
        losses = trainee.held(passes) if held else passes()
    gradients = {
        name: leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
        for name, leaf in trainee.leaves.items()
    }
    return {"": losses, **trainee.fixed, **gradients}


def _shaken(module: nn.Module, state: Mapping[str, Tensor], number: int) -> State:
    """The state with other weights of the same size."""
    noise = seeds.generator("way", number)
    trained = {name for name, parameter in module.named_parameters() if parameter.is_floating_point()}

    def shaken(tensor: Tensor) -> Tensor:
        draw = torch.randn(tensor.shape, generator=noise).to(tensor)
        return tensor + 0.1 * draw * tensor.square().mean().sqrt()

    return {name: shaken(tensor) if name in trained else tensor for name, tensor in state.items()}


def _differing(a: State, b: State) -> list[str]:
    """Which tensors differ by more than rounding, of their own or of the largest of them."""
    most = max((float(tensor.double().norm()) for tensor in b.values() if tensor.isfinite().all()), default=0)

    def differs(own: Tensor, other: Tensor) -> bool:
        same = (own == other) | (own.isnan() & other.isnan())
        apart = torch.where(same, 0, own.double() - other.double()).norm()
        return bool(apart > 1e-2 * other.double().norm() + 1e-5 * most) or bool(apart.isnan())

    return [name for name in b if differs(a[name], b[name])]
