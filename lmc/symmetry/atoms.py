"""Axes described by *atoms*, and the steps that refine them.

An atom is a set of indices that permutes as one. An axis is covered by *runs*, and a run is a product of
atoms, each with its stride along the axis: after flattening channels and positions, in the heads of
attention, or where queries, keys and values lie end to end inside every head. Operations only ever refine
this: they unite two atoms, cut one into pieces, split one into a product, or fix it where no permutation
would survive.

When an atom is split into blocks, the indices inside a block may move differently in every block, until an
operation meets them without knowing the block: the inner atom *depends* on the outer one. Every step
allows a subset of what was allowed before, so that what remains at the end is a symmetry.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Axes = list["Indices"]
Terms = tuple[tuple["Atom", int], ...]
At = Mapping["Atom", int]


class Atom:
    """``size`` indices.

    Attributes:
        fixed: why they cannot move; None while they can.
        free: all values along it are equal, as after ``expand``, so that it takes any meaning.
        copies: free because a tensor is repeated along it, so that no sum over it tells its indices apart.
        fresh: of a stored tensor and not joined to anything yet, so that it may come to depend on blocks.
        link: what it has become: one run of one atom when united, others when split or cut.
        pieces: for an atom that depends on one that was cut: (that one, an atom for each of its pieces).
    """

    def __init__(self, size: int, *, fixed: str | None = None, free: bool = False) -> None:
        self.size, self.fixed, self.free, self.fresh = size, fixed, free, False
        self.copies = False
        self.parents: set[Atom] = set()
        self.link: list[Run] | None = None
        self.pieces: tuple[Atom, list[Atom]] | None = None

    def inherit(self, whole: Atom) -> None:
        """Be a part of another."""
        self.fixed, self.parents = whole.fixed, set(whole.parents)
        self.free, self.copies, self.fresh = whole.free, whole.copies, whole.fresh


class Run(NamedTuple):
    """Indices at ``offset`` plus coordinate times stride of every term (atom, stride); strides fall."""

    offset: int
    terms: Terms = ()

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """Without their strides."""
        return tuple(atom for atom, _ in self.terms)

    @property
    def length(self) -> int:
        """How many indices."""
        return math.prod(atom.size for atom, _ in self.terms)

    @property
    def stop(self) -> int:
        """One more than the last index."""
        return self.offset + 1 + sum((atom.size - 1) * stride for atom, stride in self.terms)

    def placed(self, offset: int, stride: int = 1) -> Run:
        """The same on an axis of which this is a part: every ``stride``-th index from ``offset``."""
        terms = tuple((atom, own * stride) for atom, own in self.terms)
        return Run(offset + self.offset * stride, terms)


class Indices:
    """The indices of one axis of a tensor, in runs that cover it."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs = list(runs)

    @classmethod
    def of(cls, atom: Atom) -> Indices:
        """An axis that is one atom."""
        return cls([Run(0, ((atom, 1),))])

    @classmethod
    def single(cls) -> Indices:
        """An axis of one index."""
        return cls([Run(0)])

    @classmethod
    def joined(cls, parts: Iterable[Indices]) -> Indices:
        """Axes end to end."""
        start, runs = 0, []
        for part in parts:
            runs += [run.placed(start) for run in part.runs]
            start += part.size
        return cls(runs)

    @property
    def size(self) -> int:
        """How many."""
        return sum(run.length for run in self.runs)


class Atoms(ABC):
    """All atoms of a trace, and the steps that refine them."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []

    def atom(self, size: int, *, fixed: str | None = None, free: bool = False) -> Atom:
        """A new one."""
        made = Atom(size, fixed=fixed, free=free)
        self.atoms.append(made)
        return made

    def axis(self, size: int, *, fixed: str | None = None, free: bool = False) -> Indices:
        """A new axis of one new atom."""
        return Indices.of(self.atom(size, fixed=fixed, free=free))

    def repeated(self, size: int) -> Indices:
        """A new axis along which a tensor is repeated."""
        made = self.atom(size, free=True)
        made.copies = True
        return Indices.of(made)

    def stored(self, size: int) -> Indices:
        """A new axis of a tensor of the state."""
        made = self.atom(size)
        made.fresh = True
        return Indices.of(made)

    def parents(self, atom: Atom) -> set[Atom]:
        """Atoms on whose value the meaning of this one depends; one that is fixed depends on none."""
        if atom.fixed is not None or not atom.parents:
            return set()
        axes = [Indices.of(parent) for parent in atom.parents]
        return {own for axis in axes for run in self.resolve(axis) for own in run.atoms} - {atom}

    def resolve(self, axis: Indices, at: At | None = None) -> list[Run]:
        """The runs of an axis in atoms as they are now, by offset; see :meth:`opened`."""
        return [run for run, _ in self.opened(axis, at)]

    def opened(self, axis: Indices, at: At | None = None, *, settle: bool = True) -> list[tuple[Run, At]]:
        """The same, each with the piece of every atom that was cut on the way to it.

        A single atom of size 1 is left out of products.

        Args:
            at: of atoms that were cut, the piece in which the tensor lies along another axis.
            settle: where that is not known, let the atoms of all pieces move alike; else leave them.
        """
        found = [each for run in axis.runs for each in self._open(run, at or {}, settle)]
        return sorted(found, key=lambda each: each[0].offset)

    def _open(self, run: Run, at: At, settle: bool) -> list[tuple[Run, At]]:
        for place, (atom, stride) in enumerate(run.terms):
            if atom.link is None:
                continue
            found = []
            for which, link in enumerate(atom.link):
                own = link.placed(run.offset, stride)
                terms = (*run.terms[:place], *own.terms, *run.terms[place + 1 :])
                piece = at if len(atom.link) == 1 else {**at, atom: which}
                found += self._open(Run(own.offset, terms), piece, settle)
            return found
        for place, (atom, stride) in enumerate(run.terms):
            if atom.pieces is not None:
                cut, pieces = atom.pieces
                if cut in at:
                    known = (pieces[at[cut]], stride)
                    run = Run(run.offset, (*run.terms[:place], known, *run.terms[place + 1 :]))
                elif settle:
                    self._settle(atom)
                else:
                    continue
                return self._open(run, at, settle)
        wide = [term for term in run.terms if term[0].size > 1]
        terms = tuple(sorted(wide, key=lambda term: -term[1])) or run.terms[:1]
        return [(Run(run.offset, terms), at)]

    def _settle(self, atom: Atom) -> None:
        assert atom.pieces is not None
        first, *others = (Indices.of(piece) for piece in atom.pieces[1])
        atom.link = first.runs
        for other in others:
            self.same(first, other)

    @abstractmethod
    def same(self, a: Indices, b: Indices) -> None:
        """Two axes of equal size permute alike."""

    def fix(self, run: Iterable[Atom], reason: str) -> None:
        """No permutation of these survives; the first reason stays."""
        assert reason
        for atom in run:
            for own in self.resolve(Indices.of(atom)):
                for each in own.atoms:
                    each.fixed = reason if each.fixed is None else each.fixed
                    each.free = each.copies = False

    def fix_axes(self, axes: Iterable[Indices], reason: str) -> None:
        """The same for whole axes."""
        for axis in axes:
            for run in self.resolve(axis):
                self.fix(run.atoms, reason)

    def unite(self, a: Atom, b: Atom) -> None:
        """The same indices from now on; both are as resolved."""
        if a is b:
            return
        assert a.size == b.size
        own, other = self.parents(a), self.parents(b)
        parents = other if a.free or a.fresh else own if b.free or b.fresh else own & other
        a.fixed = b.fixed if a.fixed is None else a.fixed
        a.free, a.copies, a.fresh = a.free and b.free, a.copies and b.copies, False
        b.link = [Run(0, ((a, 1),))]
        a.parents = {each for each in parents if each is not a and a not in self.parents(each)}

    def split(self, atom: Atom, outer: int) -> None:
        """As blocks: (outer, inner), the inner one dependent on the outer."""
        blocks, inner = parts = (self.atom(outer), self.atom(atom.size // outer))
        for part in parts:
            part.inherit(atom)
        inner.parents.add(blocks)
        atom.link = [Run(0, ((blocks, inner.size), (inner, 1)))]

    def cut(self, atom: Atom, sizes: Sequence[int]) -> None:
        """End to end; atoms that depend on it become one for each piece."""
        pieces = [self.atom(size) for size in sizes if size]
        for piece in pieces:
            piece.inherit(atom)
        live = [each for each in self.atoms if each.link is None and each.pieces is None and each.parents]
        rest = {each: self.parents(each) - {atom} for each in live if atom in self.parents(each)}
        own = {
            each: [self.atom(each.size, fixed=each.fixed, free=each.free) for _ in pieces] for each in rest
        }
        atom.link = Indices.joined(map(Indices.of, pieces)).runs
        for each, parents in rest.items():
            for which, piece in enumerate(pieces):
                among = {own[parent][which] if parent in own else parent for parent in parents}
                own[each][which].parents = among | ({piece} if piece.size > 1 else set())
            each.pieces = (atom, own[each])

    def forget(self, atom: Atom, parent: Atom) -> None:
        """The same permutation in every block from now on."""
        atom.parents = self.parents(atom) - {parent}
