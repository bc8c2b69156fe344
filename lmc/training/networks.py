"""A stack of networks as leaves to train, and its loss on batches.

The weight of a linear layer is kept input-major, (K, in, out), that of a convolution channels last, and
handed to the network as a view of its own shape: autograd's gradient then has the leaf's own layout,
nothing is copied, and the fused optimiser sees contiguous memory. Measured a third faster than (K, out, in)
leaves for linear layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.core import seeds
from lmc.data.dataset import Augmentation
from lmc.models.conduct import conduct, seeded
from lmc.models.stack import State, aliases, forward, layouts
from lmc.recording.evaluation import Losses
from lmc.training.loop import Batch, BatchLoss

Hook = Callable[[Tensor], Tensor | None]
Result = TypeVar("Result")


class Trainee:
    """K networks of one architecture in training.

    ``leaves`` are the parameters that train; ``fixed`` holds buffers, and the parameters that the network
    freezes (``requires_grad_(False)``), which nothing moves.

    Args:
        module: the template.
        tensors: name to (K, *shape), parameters and buffers.
        masks, centres: name to (K, *shape) of D and f, for the weights where some run has one.
    """

    def __init__(
        self,
        module: nn.Module,
        tensors: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        centres: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.module = module
        self._layouts, self._tied = layouts(module), aliases(module)
        trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
        own = {name: tensor for name, tensor in tensors.items() if name not in self._tied}
        self.leaves = {name: self._kept(name, tensor) for name, tensor in own.items() if name in trained}
        self.fixed = {name: tensor.clone() for name, tensor in own.items() if name not in trained}
        self._hooks: dict[str, Iterable[Hook]] = {
            name: hooks.values()
            for name, parameter in module.named_parameters()
            if name in trained and (hooks := parameter._backward_hooks)
        }
        self.masks = self._of_leaves(masks or {})
        self.centres = self._of_leaves(centres or {})

    def _of_leaves(self, tensors: Mapping[str, Tensor]) -> State:
        named = {self._tied.get(name, name): tensor for name, tensor in tensors.items()}
        return {
            name: self._kept(name, tensor.to(self.leaves[name].dtype))
            for name, tensor in named.items()
            if name in self.leaves
        }

    def _kept(self, name: str, tensor: Tensor) -> Tensor:
        order = self._layouts.get(name)
        ordered = tensor if order is None else tensor.permute(order)
        return ordered.clone(memory_format=torch.contiguous_format)

    def _view(self, name: str, leaf: Tensor) -> Tensor:
        order = self._layouts.get(name)
        if order is None:
            return leaf
        view = leaf.permute([order.index(axis) for axis in range(leaf.dim())])
        # Under vmap a convolution's result would inherit the channels' place, which norms cannot read there.
        return view.contiguous() if len(leaf) > 1 and leaf.dim() > 3 else view

    def views(self) -> State:
        """The networks' tensors (K, *shape), sharing memory with the leaves and differentiable."""
        own = {**{name: self._view(name, leaf) for name, leaf in self.leaves.items()}, **self.fixed}
        for name, hooks in self._hooks.items():
            own[name] = own[name].view_as(own[name])
            if own[name].requires_grad:
                own[name].register_hook(partial(_hooked, hooks))
        return {**own, **{name: own[first] for name, first in self._tied.items()}}

    def states(self) -> State:
        """The same, detached."""
        return {name: tensor.detach() for name, tensor in self.views().items()}

    def held(self, step: Callable[[], Result]) -> Result:
        """What ``step`` returns, while the module holds the one run's tensors as its own.

        A network that recomputes activations in the backward pass (``torch.utils.checkpoint``) reads what
        its module holds then, and ``functional_call`` lends the tensors to the forward pass only.
        """
        own = {f"module.{name}": tensor.squeeze(0) for name, tensor in self.views().items()}
        return functional_call(_Step(self.module), own, (step,), tie_weights=False)


class _Step(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, step: Callable[[], Result]) -> Result:
        return step()


def _hooked(hooks: Iterable[Hook], gradient: Tensor) -> Tensor:
    """Each run's gradient as the hooks of the network's parameter leave it."""
    runs = list(gradient)
    for hook in hooks:
        runs = [own if (changed := hook(own)) is None else changed for own in runs]
    return torch.stack(runs)


def batch_loss(
    trainee: Trainee,
    inputs: Tensor,
    targets: Tensor,
    losses: Losses,
    correct: Losses,
    noise_seeds: Sequence[int],
    augment: Augmentation | None = None,
) -> BatchLoss:
    """The networks' mean loss and accuracy on a batch of indices into ``inputs`` and ``targets``.

    Args:
        losses, correct: outputs (K, B, ...) and targets to (K, B).
        noise_seeds: one seed per run for random operations and augmentation. They draw from (seed, epoch,
            step), so a resumed run draws what it would have drawn. Only one run at a time can have random
            operations; augmentation is each run's own.
        augment: from a run's inputs (B, ...) and a generator to others.

    Raises:
        ValueError: a stack of networks with random operations.
    """
    first = {name: tensor[0] for name, tensor in trainee.states().items()}
    is_random = conduct(trainee.module, first, inputs).draws
    if is_random and len(noise_seeds) > 1:
        raise ValueError("networks with random operations train one run at a time")

    def evaluate(batch: Batch) -> tuple[Tensor, Tensor]:
        x, y = inputs[batch.indices], targets[batch.indices]
        if augment is not None:
            draws = [seeds.generator("augment", seed, batch.epoch, batch.step) for seed in noise_seeds]
            x = torch.stack([augment(own, draw) for own, draw in zip(x, draws, strict=True)])
        module = trainee.module
        with seeded(module, "noise", noise_seeds[0], batch.epoch, batch.step) if is_random else nullcontext():
            outputs, _ = forward(module, trainee.views(), x, shared=False)
        return losses(outputs, y).mean(dim=1), correct(outputs.detach(), y).double().mean(dim=1)

    return evaluate


def orders(order_seeds: Sequence[int], samples: int) -> Callable[[int], Tensor]:
    """Each run's own permutation of the samples in an epoch, (K, N)."""

    def order(epoch: int) -> Tensor:
        return torch.stack(
            [torch.randperm(samples, generator=seeds.generator("order", seed, epoch)) for seed in order_seeds]
        )

    return order
