"""Proof that a model's groups are symmetries: run before any permutation is used."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from lmc.core.errors import JobError
from lmc.core.seeds import generator
from lmc.models.stack import Point, State
from lmc.symmetry.groups import Axis, Group, Groups, apply, families
from lmc.symmetry.proof import CLEAR, Proof
from lmc.symmetry.trial import Trial, trial

_FLOOR = {torch.float64: 1e-10, torch.float32: 1e-5}
_ROUNDINGS = 30

Permutations = Mapping[str, Tensor]
Draw = Callable[[int, torch.Generator], Tensor]


def verify(
    model: nn.Module, groups: Groups, example_input: Tensor, *, thorough: bool = False
) -> dict[str, Proof]:
    """Try whether permuting the groups leaves the outputs of eight inputs equal, and whether that shows.

    Two permutations are tried that generate all others: a cycle of all blocks and of all neurons in each,
    and an exchange of two. Recording points must permute alike, so that matching reads what it permutes.
    Outputs are equal up to what rounding of this network in this precision does, which is measured. The
    control: the cycle with one tensor left out must change the outputs by far more; a network whose
    outputs depend on nothing would pass anything. At other weights, at finitely many inputs: a proof in
    the sense of a test that was shown able to fail.

    Args:
        example_input: (B, *input_shape); samples are added up to eight different ones.
        thorough: try a control for every tensor; else until one is seen in each group.

    Returns:
        by group, what was shown; see ``Proof.doubt``.

    Raises:
        JobError: names the group that is no symmetry of the model.
    """
    if not len(groups):
        return {}
    features = {each for group in groups for found in group.points.values() for each in found}
    work = _Proving(groups, trial(model, example_input, tuple({each.point for each in features})))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        return work.proofs(thorough)


class _Proving:
    """The groups of one network at one trial."""

    def __init__(self, groups: Groups, tried: Trial) -> None:
        self.trial, self.families = tried, families(groups)
        self.cycle = _drawn(groups, _cycle)
        self.swap = _drawn(groups, _swap)
        rounded = tried.rounded()
        self.before, self.points = tried.run(tried.state), tried.seen(tried.state)[1]
        self.rounded, self.rounded_points = tried.run(rounded), tried.seen(rounded)[1]
        self.drawn = _largest(tried.again() - self.before)

    @cached_property
    def tolerance(self) -> float:
        """Up to which outputs are equal."""
        return max(self._tolerance(self.before, self.rounded), _ROUNDINGS * self.drawn)

    @property
    def draws(self) -> bool:
        """Whether two calls on the same inputs differ by more than rounding: the network draws numbers."""
        return self.drawn > self._tolerance(self.before, self.rounded)

    @cached_property
    def scale(self) -> float:
        """The largest output."""
        return float(self.before.abs().max())

    def proofs(self, thorough: bool) -> dict[str, Proof]:
        """What is shown of every group."""
        everything = [group for family in self.families for group in family]
        for permutations in (self.cycle, self.swap):
            self._check_together(everything, permutations)
        found = {}
        for family in self.families:
            outputs, seen = self.trial.seen(apply(family, self.cycle, self.trial.state))
            self._check(family, outputs)
            for group in family:
                found[group.name] = Proof(
                    group.name,
                    self._relative(self._differ(outputs)),
                    self._relative(self.tolerance),
                    self._controls(family, group, thorough),
                    self.trial.spread,
                    tuple(self._blind(group, seen)),
                    str(self.trial.dtype).removeprefix("torch."),
                )
        return found

    def _check_together(self, groups: Sequence[Group], permutations: Permutations) -> None:
        """All groups at once on all inputs; where that fails, which one it is."""
        moved = apply(groups, permutations, self.trial.state)
        outputs = self.trial.run(moved)
        if self._differ(outputs) > self.tolerance:
            for family in self.families:
                self._check(family, self.trial.run(apply(family, permutations, self.trial.state)))
            self._check(groups, outputs)
        for family in self.families:
            _check_moves(family, self.trial.state, moved)

    def _check(self, groups: Iterable[Group], outputs: Tensor) -> None:
        """Refuse groups that changed the outputs."""
        change, rounding = self._differ(outputs), self._differ(self.rounded)
        if change > self.tolerance:
            names = " and ".join(group.name for group in groups)
            raise JobError(
                f"permuting the neurons of {names} changes the outputs by {change:.2g}, "
                f"rounding by {rounding:.2g}",
                "its group names the wrong axes",
            )

    def _differ(self, after: Tensor) -> float:
        return _largest(after - self.before[: len(after)])

    def _relative(self, change: float) -> float:
        return change / self.scale if self.scale > 0 else math.nan

    def _tolerance(self, before: Tensor, rounded: Tensor) -> float:
        floor = _FLOOR[self.trial.dtype] * float(before.abs().max())
        return max(floor, _ROUNDINGS * _largest(rounded - before))

    def _blind(self, group: Group, after: Mapping[Point, Tensor]) -> Iterator[str]:
        """Points at which the group's neurons are alike; all must be permuted as said.

        Where random numbers are drawn for every neuron, a permutation is one in distribution only.
        """
        if self.draws:
            return
        for feature in dict.fromkeys(each for found in group.points.values() for each in found):
            point = feature.point
            before, rounded, moved = (
                feature.read(seen[point]) for seen in (self.points, self.rounded_points, after)
            )
            tolerance, expected = self._tolerance(before, rounded), before[..., self.cycle[group.name]]
            if _largest(moved - expected) > tolerance:
                raise JobError(
                    f"permuting the neurons of {group.name} does not permute {point.module}'s {point.side}",
                    "its group names the wrong recording point",
                )
            if group.size > 1 and not _largest(expected - before) >= CLEAR * tolerance:
                yield f"{point.module}'s {point.side}"

    def _controls(self, family: Sequence[Group], group: Group, thorough: bool) -> dict[Axis, float]:
        """The change when an axis is left out, most telling axes first; none of a single neuron."""
        found: dict[Axis, float] = {}
        if not _moving(group):
            return found
        axes = sorted(group.axes, key=lambda axis: self.trial.state[axis.tensor].dim() < 2)
        for axis in axes if not thorough else group.axes:
            change = self._without(family, group, axis, self.trial.few)
            if change < CLEAR * self.tolerance:
                change = self._without(family, group, axis, None)
            found[axis] = self._relative(change)
            if not thorough and change >= CLEAR * self.tolerance:
                break
        return found

    def _without(self, family: Sequence[Group], group: Group, axis: Axis, samples: int | None) -> float:
        state = self.trial.state
        rest = tuple(each for each in group.axes if each is not axis)
        if rest:
            spoilt = [dataclasses.replace(each, axes=rest) if each is group else each for each in family]
            moved = apply(spoilt, self.cycle, state)
        else:
            # Its order never matters, so what remains to be shown is that its values do.
            moved = state | {axis.tensor: state[axis.tensor].clone()}
            moved[axis.tensor].select(axis.axis, 0).mul_(2)
        return self._differ(self.trial.run(moved, samples))


def _largest(difference: Tensor) -> float:
    """Infinite where an entry is NaN."""
    return math.inf if difference.isnan().any() else float(difference.abs().max())


def _moving(group: Group) -> bool:
    return group.blocks > 1 or (group.inner and group.block > 1)


def _check_moves(family: Sequence[Group], before: State, after: State) -> None:
    moving = [*filter(_moving, family)]
    tensors = {axis.tensor for group in moving for axis in group.axes}
    if moving and all(torch.equal(after[name], before[name]) for name in tensors):
        names = " and ".join(group.name for group in family)
        raise JobError(f"permuting the neurons of {names} moves no weight", "its group names no axes")


def _drawn(groups: Iterable[Group], draw: Draw) -> dict[str, Tensor]:
    """Of every group a permutation that moves its blocks, and neurons inside each, as drawn."""
    found = {}
    for family in families(groups):
        noise = generator("verify", family[0].name)
        outer = draw(family[0].blocks, noise)
        for group in family:
            inner = torch.arange(group.block).repeat(group.blocks, 1)
            if group.inner:
                inner = torch.stack([draw(group.block, noise) for _ in range(group.blocks)])
            found[group.name] = group.expand(outer, inner)
    return found


def _cycle(size: int, noise: torch.Generator) -> Tensor:
    """A random permutation that has one cycle: nothing stays."""
    order = torch.randperm(size, generator=noise)
    permutation = torch.empty_like(order)
    permutation[order] = order.roll(-1)
    return permutation


def _swap(size: int, noise: torch.Generator) -> Tensor:
    """An exchange of two that are neighbours in ``_cycle`` of the same draw: both generate all others."""
    order = torch.randperm(size, generator=noise)
    permutation = torch.arange(size)
    permutation[order[:2]] = order[:2].flip(0)
    return permutation
