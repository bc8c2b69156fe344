"""Sets of neurons that permute together, and permuting them (THEORY 4).

A *group* is one set of neurons and everything that is indexed by them: the rows of the layers that own
them, their norms' parameters and statistics, and the input axes of their readers. Where only some
permutations are symmetries, the neurons lie in equal *blocks* (the dimensions of an attention head, the
channels of a grouped convolution): whole blocks change places, and neurons change places inside them.
Groups of one *family* share their blocks' permutation, as the queries and the values of a head do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.models.stack import Feature, State

Places = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Axis:
    """Where a group's n neurons lie in a tensor: on ``axis``, at ``places`` (copies, n); None is in order.

    ``within``: an axis of the same tensor that is cut into the group's blocks, and ``axis`` holds one
    block's neurons; rows of block b are permuted as block b's neurons are. (The input channels of a
    grouped convolution, whose blocks of output channels move in a group of their own.)
    """

    tensor: str
    axis: int
    places: Places | None = None
    within: int | None = None


@dataclass(frozen=True)
class Group:
    """One set of ``size`` neurons.

    Attributes:
        layers: the modules whose outputs the neurons are.
        points: kind of recording point (linear, norm, activation) to what is recorded there.
        blocks: of equal length, which the permutations respect; 1 means that all are allowed.
        inner: whether neurons also permute inside their block.
        family: groups of the same family move their blocks alike.
    """

    name: str
    size: int
    axes: tuple[Axis, ...]
    layers: tuple[str, ...]
    points: Mapping[str, tuple[Feature, ...]]
    blocks: int = 1
    inner: bool = True
    family: str = ""

    @property
    def block(self) -> int:
        """Neurons in a block."""
        return self.size // self.blocks

    def holds(self, permutation: Tensor) -> bool:
        """Whether (n,) is a permutation that the group allows."""
        p = permutation.cpu()
        if p.shape != (self.size,) or not torch.equal(p.sort().values, torch.arange(self.size)):
            return False
        rows = p.view(self.blocks, self.block)
        whole = (rows // self.block == (rows // self.block)[:, :1]).all()
        return bool(whole and (self.inner or (rows % self.block == torch.arange(self.block)).all()))

    def expand(self, outer: Tensor, inner: Tensor | None = None) -> Tensor:
        """The permutation (n,) that moves blocks by ``outer`` and, at slot b, neurons by ``inner[b]``."""
        within = torch.arange(self.block).expand(self.blocks, -1) if inner is None else inner
        return (outer[:, None] * self.block + within).flatten()


@dataclass(frozen=True)
class Fixed:
    """An axis that cannot be permuted, and the operation that prevents it."""

    tensor: str
    axis: int
    reason: str


@dataclass(frozen=True)
class Groups:
    """All groups of a model, in order of the forward pass, and the axes that stay."""

    groups: tuple[Group, ...]
    fixed: tuple[Fixed, ...] = ()

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def identity(self) -> dict[str, Tensor]:
        """The identity permutation of every group, (n,) int64."""
        return {group.name: torch.arange(group.size) for group in self}


def families(groups: Iterable[Group]) -> list[list[Group]]:
    """Groups that move their blocks alike, together; most groups are a family of their own."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.family or group.name, []).append(group)
    return list(found.values())


def apply(groups: Iterable[Group], permutations: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> State:
    """The state with every group's neurons permuted: slot i takes neuron ``p[i]`` (B' = B[p]).

    Args:
        permutations: group name to (n,) int64; a group that is missing stays as it is.
        state: name to tensor; left unchanged.

    Raises:
        LmcError: a permutation of the wrong length or none at all, one that tears blocks apart, or a
            family whose groups disagree on the blocks.
    """
    moved = dict(state)
    chosen = [(group, permutations[group.name]) for group in groups if group.name in permutations]
    for group, permutation in chosen:
        if not group.holds(permutation):
            blocks = f" in {group.blocks} blocks" if group.blocks > 1 else ""
            raise LmcError(f"group {group.name}: not a permutation of its {group.size} neurons{blocks}")
    _check_families(chosen)
    for group, permutation in chosen:
        for place in group.axes:
            if place.within is None:
                moved[place.tensor] = _along(moved[place.tensor], place, permutation)
    for group, permutation in chosen:
        for place in group.axes:
            if place.within is not None:
                moved[place.tensor] = _inside(moved[place.tensor], place, permutation, group)
    return moved


def _check_families(chosen: Iterable[tuple[Group, Tensor]]) -> None:
    blocks: dict[str, Tensor] = {}
    for group, permutation in chosen:
        own = permutation.view(group.blocks, -1)[:, 0].cpu() // group.block
        if not torch.equal(blocks.setdefault(group.family or group.name, own), own):
            raise LmcError(f"group {group.name}: moves its blocks differently from its family {group.family}")


def _along(tensor: Tensor, place: Axis, permutation: Tensor) -> Tensor:
    index = permutation
    if place.places is not None:
        index, places = torch.arange(tensor.shape[place.axis]), torch.tensor(place.places)
        index[places] = places[:, permutation.cpu()]
    return tensor.index_select(place.axis, index.to(tensor.device))


def _inside(tensor: Tensor, place: Axis, permutation: Tensor, group: Group) -> Tensor:
    assert place.within is not None
    rows = tensor.chunk(group.blocks, dim=place.within)
    inner = (permutation % group.block).view(group.blocks, -1).to(tensor.device)
    moved = [part.index_select(place.axis, index) for part, index in zip(rows, inner, strict=True)]
    return torch.cat(moved, dim=place.within)


def random(groups: Iterable[Group], generator: torch.Generator) -> dict[str, Tensor]:
    """A random element of the product of the groups."""
    drawn: dict[str, Tensor] = {}
    for family in families(groups):
        outer = _draw(family[0].blocks, generator)
        for group in family:
            inner = None
            if group.inner:
                inner = torch.stack([_draw(group.block, generator) for _ in range(group.blocks)])
            drawn[group.name] = group.expand(outer, inner)
    return drawn


def _draw(size: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(size, generator=generator)


def compose(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The permutation that applies ``first``, then ``second``: B[first][second] = B[first[second]]."""
    return {name: first[name][second[name]] for name in first}


def inverse(permutations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The permutation that takes ``permutations`` back: B[p][inverse] = B."""
    return {name: permutation.argsort() for name, permutation in permutations.items()}
