"""A check of groups that shares no code with the one that ships: element by element, from the specification.

A permutation is drawn that moves every block and, in every block, its neurons; the state is permuted by what
``Axis`` says, and the outputs at inputs that differ must stay. Leaving one tensor behind must change them.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

SAME, OTHER = 1e-9, 1e-5


@dataclass
class Verdict:
    """How far outputs move, in standard deviations over inputs: permuted, and with one tensor left behind."""

    names: tuple[str, ...]
    kind: str
    moved: float
    control: float

    @property
    def sound(self) -> bool:
        return self.moved < SAME


KINDS = ("both", "blocks", "inside", "one")


def check(model: nn.Module, groups, inputs: Tensor, seed: int = 0, kinds=KINDS) -> list[Verdict]:
    """A verdict for every family and kind of move, in float64; ``inputs`` has at least eight that differ."""
    rng = torch.Generator().manual_seed(seed)
    double = copy.deepcopy(model).double().eval()
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    state = {name: _noisy(name, value, rng) for name, value in double.state_dict(keep_vars=False).items()}
    for name, first in _tied(double).items():
        state[name] = state[first]
    run = lambda weights: functional_call(double, weights, (inputs,), tie_weights=False).detach()  # noqa: E731
    expected = run(state)
    scale = expected.std(0).max()
    assert scale > 1e-6 * (expected.abs().max() + 1e-9), "the network is dead"
    families = defaultdict(list)
    for group in groups:
        families[group.family or group.name].append(group)
    verdicts = []
    for family in families.values():
        for kind in kinds:
            drawn = _draw(family, kind, rng)
            if drawn is None:
                continue
            distance = lambda weights: float((run(weights) - expected).abs().max() / scale)  # noqa: E731
            tensors = sorted({axis.tensor for group in family for axis in group.axes})
            control = max(distance(permuted(family, drawn, state, without=each)) for each in tensors)
            names = tuple(group.name for group in family)
            verdicts.append(Verdict(names, kind, distance(permuted(family, drawn, state)), control))
    return verdicts


def permuted(family, drawn, state, without: str = "") -> dict[str, Tensor]:
    """The state after blocks moved by ``drawn`` outer and, in the slot of block b, neurons by inner[b]."""
    outer, inner = drawn
    moved = dict(state)
    axes = [(group, axis) for group in family for axis in group.axes if axis.tensor != without]
    for group, axis in axes:
        if axis.within is None:
            old = moved[axis.tensor].movedim(axis.axis, 0)
            order = list(range(len(old)))
            for places in axis.places or (tuple(range(group.size)),):
                for slot, place in enumerate(places):
                    block, which = divmod(slot, group.block)
                    order[place] = places[outer[block] * group.block + inner[group.name][block][which]]
            moved[axis.tensor] = old[order].movedim(0, axis.axis)
    for group, axis in axes:
        if axis.within is not None:
            old = moved[axis.tensor].movedim((axis.within, axis.axis), (0, 1))
            new, rows = old.clone(), old.shape[0] // group.blocks
            for row in range(old.shape[0]):
                new[row] = old[row, inner[group.name][row // rows]]
            moved[axis.tensor] = new.movedim((0, 1), (axis.within, axis.axis))
    return moved


def _draw(family, kind: str, rng):
    """(outer, {group: inner of every block}); None where nothing of this kind can move."""
    blocks = family[0].blocks
    assert {group.blocks for group in family} == {blocks}
    stays = list(range(blocks))
    outer = _other(blocks, rng) if kind in ("both", "blocks") else stays
    inner = {}
    for group in family:
        chosen = stays if kind in ("both", "inside") else stays[-1:] if kind == "one" else []
        own = list(range(group.block))
        inner[group.name] = [
            _other(group.block, rng) if block in chosen and group.inner else own for block in range(blocks)
        ]
    if outer == stays and all(each == sorted(each) for own in inner.values() for each in own):
        return None
    return outer, inner


def _other(size: int, rng) -> list[int]:
    order = torch.randperm(size, generator=rng).tolist()
    return order if order != sorted(order) or size == 1 else [*order[1:], order[0]]


def _noisy(name: str, value: Tensor, rng) -> Tensor:
    if not value.is_floating_point():
        return value
    own = value[value.isfinite()]
    scale = float(own.std()) if own.numel() > 1 and own.std() > 0 else 0.3
    noisy = value + scale * torch.randn(value.shape, generator=rng, dtype=value.dtype)
    return noisy.abs() + 0.1 if name.endswith("running_var") else noisy


def _tied(model: nn.Module) -> dict[str, str]:
    first: dict[int, str] = {}
    tied = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if first.setdefault(id(value), name) != name:
            tied[name] = first[id(value)]
    return tied
