"""What a network's forward pass does besides computing, found by watching its first one.

A network may write into its input or its weights, or draw random numbers; nothing it is made of says so.
What is found is kept per network and mode.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.core import seeds

SAMPLES = 8
"""With how many samples a network is tried."""

State = dict[str, Tensor]
_NOTES: WeakKeyDictionary[nn.Module, dict[tuple[bool, ...], dict[str, Any]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Conduct:
    """What a forward pass does besides computing.

    Attributes:
        writes: into its inputs.
        changes: weights or buffers.
        draws: random numbers, from which generators (``seeds.standing``).
    """

    writes: bool
    changes: bool
    draws: frozenset[str]


STILL = Conduct(False, False, frozenset())


def notes(module: nn.Module) -> dict[str, Any]:
    """What has been found of a module in the modes that its parts are in."""
    return _NOTES.setdefault(module, {}).setdefault(_modes(module), {})


def _modes(module: nn.Module) -> tuple[bool, ...]:
    return tuple(part.training for part in module.modules())


def conduct(module: nn.Module, own: Mapping[str, Tensor], inputs: Tensor) -> Conduct:
    """What the module does in its mode; where it has not run yet, it is tried on a few samples.

    Args:
        own: its tensors by name, (*shape); not changed.
        inputs: (B, *input_shape); not changed.
    """
    if "conduct" not in notes(module):
        with (
            torch.no_grad(),
            undisturbed(module),
            seeded(module, "forward"),
            watched(module, copied(own), inputs[:SAMPLES].detach().clone()) as (tensors, x),
        ):
            functional_call(module, tensors, (x,), tie_weights=False)
    return notes(module)["conduct"]


@contextmanager
def guarded(
    module: nn.Module, own: State, inputs: Tensor, private: bool = False
) -> Iterator[tuple[State, Tensor]]:
    """The tensors and inputs to run a network on once.

    In evaluation the inputs, weights and buffers given here stay as they are, and random numbers are the
    same every time. A network in training changes ``own``, and draws what its caller seeds.

    Args:
        private: whether the inputs may be written into.
    """
    modes = _modes(module)
    ways: Conduct | None = _NOTES.setdefault(module, {}).setdefault(modes, {}).get("conduct")
    if ways == STILL:
        yield own, inputs
        return
    with ExitStack() as context:
        if not module.training and (ways is None or ways.draws):
            context.enter_context(seeded(module, "forward"))
        if not private and (ways is None or ways.writes):
            inputs = inputs.clone()
        if not any(modes) and (ways is None or ways.changes):
            own = copied(own)
        if ways is None:
            context.enter_context(watched(module, own, inputs))
        yield own, inputs


@contextmanager
def watched(module: nn.Module, own: State, inputs: Tensor) -> Iterator[tuple[State, Tensor]]:
    """Note what one forward pass does to the tensors given here, and to the random generators."""
    before, tensors, drawn = inputs.detach().clone(), copied(own), generators(module)
    versions = {name: tensor._version for name, tensor in own.items()}
    version, stood = inputs._version, seeds.standing(drawn)
    yield own, inputs
    # A version does not count what is written through ``.data``; a value may be written as it was.
    notes(module)["conduct"] = Conduct(
        writes=inputs._version != version or not torch.equal(inputs, before),
        changes=any(
            tensor._version != versions[name] or not torch.equal(tensor, tensors[name])
            for name, tensor in own.items()
        ),
        draws=frozenset(name for name, now in seeds.standing(drawn).items() if now != stood[name]),
    )


def copied(tensors: Mapping[str, Tensor]) -> State:
    """Detached copies that a forward pass may change; tied tensors stay one."""
    made: dict[int, Tensor] = {}
    for tensor in tensors.values():
        if id(tensor) not in made:
            made[id(tensor)] = tensor.detach().clone(memory_format=torch.preserve_format)
    return {name: made[id(tensor)] for name, tensor in tensors.items()}


def generators(module: nn.Module) -> list[seeds.Generators]:
    """The random generators that a module's parts hold."""
    kinds = (torch.Generator, np.random.Generator, random.Random)
    return [value for part in module.modules() for value in vars(part).values() if isinstance(value, kinds)]


@contextmanager
def seeded(module: nn.Module, *keys: str | int) -> Iterator[None]:
    """Whatever the module draws comes from ``keys``."""
    ways: Conduct | None = notes(module).get("conduct")
    torch_alone = ways is not None and ways.draws <= {"torch"}
    own = None if torch_alone else generators(module)
    with seeds.drawing(seeds.derive(*keys), own):
        yield


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Afterwards the module's parts have the attributes that they had: counters, masks made on the way."""
    held = [(part, dict(vars(part))) for part in module.modules()]
    try:
        yield
    finally:
        for part, before in held:
            vars(part).clear()
            vars(part).update(before)
