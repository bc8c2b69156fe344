"""Axes described by *atoms*, and what an operation asks of them.

An atom is a set of indices that permutes as one. An axis is a row of *runs* laid end to end (after a
concatenation there are several), and a run is a row-major product of atoms (after flattening channels and
positions, or in the heads of attention). Operations only ever refine this: they unite two atoms, cut one
into pieces, split one into a product, or fix it where no permutation would survive.

When an atom is split into blocks, the indices inside a block may move differently in every block, until an
operation meets them without knowing the block: the inner atom *depends* on the outer one. Every step
allows a subset of what was allowed before, so that what remains at the end is a symmetry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Run = tuple["Atom", ...]
Axes = list["Indices"]


class Atom:
    """``size`` indices.

    Attributes:
        fixed: why they cannot move; None while they can.
        free: all values along it are equal, as after ``expand``, so that it takes any meaning.
        fresh: of a stored tensor and not joined to anything yet, so that it may come to depend on blocks.
        link: what it has become: one run of one atom when united, others when split or cut.
        pieces: for an atom that depends on one that was cut: (that one, an atom for each of its pieces).
        origin: for a piece: (the atom it was cut from, which piece).
    """

    def __init__(self, size: int, *, fixed: str | None = None, free: bool = False) -> None:
        self.size, self.fixed, self.free, self.fresh = size, fixed, free, False
        self.parents: set[Atom] = set()
        self.link: list[Run] | None = None
        self.pieces: tuple[Atom, list[Atom]] | None = None
        self.origin: tuple[Atom, int] | None = None


class Indices:
    """The indices of one axis of a tensor: runs end to end."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs = list(runs)

    @classmethod
    def of(cls, atom: Atom) -> Indices:
        """An axis that is one atom."""
        return cls([(atom,)])

    @property
    def size(self) -> int:
        """How many."""
        return sum(length(run) for run in self.runs)


def length(run: Run) -> int:
    """The indices of a run."""
    return math.prod(atom.size for atom in run)


class Algebra:
    """All atoms of a trace, and the steps that refine them."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._wholes: dict[Atom, Atom] = {}

    def atom(self, size: int, *, fixed: str | None = None, free: bool = False) -> Atom:
        """A new one."""
        made = Atom(size, fixed=fixed, free=free)
        self.atoms.append(made)
        return made

    def axis(self, size: int, *, fixed: str | None = None, free: bool = False) -> Indices:
        """A new axis of one new atom."""
        return Indices.of(self.atom(size, fixed=fixed, free=free))

    def stored(self, size: int) -> Indices:
        """A new axis of a tensor of the state."""
        made = self.atom(size)
        made.fresh = True
        return Indices.of(made)

    def find(self, atom: Atom) -> Atom:
        """What an atom has been united with."""
        while atom.link is not None and len(atom.link) == 1 and len(atom.link[0]) == 1:
            atom = atom.link[0][0]
        return atom

    def parents(self, atom: Atom) -> set[Atom]:
        """Atoms on whose value the meaning of this one depends; one that is fixed depends on none."""
        found: set[Atom] = set()
        if atom.fixed is not None:
            return found
        for parent in atom.parents:
            for run in self.resolve(Indices.of(parent)):
                found.update(run)
        return found - {atom}

    def resolve(self, axis: Indices, at: dict[Atom, int] | None = None) -> list[Run]:
        """The runs of an axis in atoms as they are now; single atoms of size 1 are left out of products.

        Args:
            at: of atoms that were cut, the piece in which the tensor lies along another axis.
        """
        return [_lean(run) for start in axis.runs for run in self._open(start, at or {})]

    def _open(self, run: Run, at: dict[Atom, int]) -> list[Run]:
        for place, atom in enumerate(run):
            before, after = run[:place], run[place + 1 :]
            if atom.pieces is not None and atom.link is None:
                cut, pieces = atom.pieces
                if cut in at:
                    return self._open((*before, pieces[at[cut]], *after), at)
                self._settle(atom)
            if atom.link is None:
                continue
            if len(atom.link) == 1:
                return self._open((*before, *atom.link[0], *after), at)
            if length(before) > 1 and not all(each.fixed is not None for each in before):
                # Blocks go on moving, and what is cut inside them stays.
                self.fix((each for own in atom.link for each in own), "it is cut inside blocks")
                whole = self._wholes.setdefault(atom, Atom(atom.size, fixed="it is cut inside blocks"))
                return self._open((*before, whole, *after), at)
            inner = [
                piece
                for which, own in enumerate(atom.link)
                for piece in self._open((*own, *after), {**at, atom: which})
            ]
            return [own for _ in range(length(before)) for own in inner]
        return [run]

    def _settle(self, atom: Atom) -> None:
        assert atom.pieces is not None
        first, *others = atom.pieces[1]
        atom.link = [(first,)]
        for other in others:
            if other.size == first.size:
                self.unite(first, other)
            else:
                self.fix((first, other), "its blocks differ in size")

    def fix(self, run: Iterable[Atom], reason: str) -> None:
        """No permutation of these survives; the first reason stays."""
        assert reason
        for atom in run:
            for own in self.resolve(Indices.of(atom)):
                for each in own:
                    each.fixed = reason if each.fixed is None else each.fixed
                    each.free = False

    def fix_axes(self, axes: Iterable[Indices], reason: str) -> None:
        """The same for whole axes."""
        for axis in axes:
            for run in self.resolve(axis):
                self.fix(run, reason)

    def unite(self, a: Atom, b: Atom) -> None:
        """The same indices from now on."""
        a, b = self.find(a), self.find(b)
        if a is b:
            return
        assert a.size == b.size
        own, other = self.parents(a), self.parents(b)
        parents = other if a.free or a.fresh else own if b.free or b.fresh else own & other
        a.fixed = b.fixed if a.fixed is None else a.fixed
        a.free, a.fresh = a.free and b.free, False
        b.link = [(a,)]
        a.parents = {each for each in parents if each is not a and a not in self.parents(each)}
        a.origin = a.origin or b.origin

    def split(self, atom: Atom, outer: int) -> Run:
        """As blocks: (outer, inner), the inner one dependent on the outer."""
        parts = (self.atom(outer), self.atom(atom.size // outer))
        for part in parts:
            part.fixed, part.free, part.fresh = atom.fixed, atom.free, atom.fresh
            part.parents = set(atom.parents)
        parts[1].parents.add(parts[0])
        atom.link = [parts]
        return parts

    def cut(self, atom: Atom, sizes: Sequence[int]) -> list[Atom]:
        """End to end; atoms that depend on it become one for each piece."""
        pieces = [self.atom(size) for size in sizes if size]
        for which, piece in enumerate(pieces):
            piece.fixed, piece.free, piece.fresh = atom.fixed, atom.free, atom.fresh
            piece.parents, piece.origin = set(atom.parents), (atom, which)
        dependent = [
            (each, self.parents(each) - {atom})
            for each in self.atoms
            if each.link is None and each.pieces is None and atom in self.parents(each)
        ]
        atom.link = [(piece,) for piece in pieces]
        for each, rest in dependent:
            own = [self.atom(each.size, fixed=each.fixed, free=each.free) for _ in pieces]
            for one, piece in zip(own, pieces, strict=True):
                one.parents = {*rest, piece} if piece.size > 1 else set(rest)
            each.pieces = (atom, own)
        return pieces

    def cut_at(self, axis: Indices, place: int) -> bool:
        """Make a run of the axis end before index ``place``; False where it cannot."""
        start = 0
        for run in self.resolve(axis):
            stop = start + length(run)
            if start < place < stop:
                inner = length(run[1:])
                if (place - start) % inner:
                    return False
                outer = (place - start) // inner
                self.cut(run[0], [outer, run[0].size - outer])
                return True
            start = stop
        return True

    def same(self, a: Indices, b: Indices) -> None:
        """Two axes of equal size permute alike."""
        assert a.size == b.size
        while True:
            runs, others = self.resolve(a), self.resolve(b)
            if runs == others or [()] in (runs, others):
                return
            if _all_fixed(runs) or _all_fixed(others):
                reasons = [atom.fixed for run in (*runs, *others) for atom in run if atom.fixed is not None]
                self.fix_axes((a, b), reasons[0] if reasons else "joined to indices of their own")
                return
            ends, other_ends = _ends(runs), _ends(others)
            if ends == other_ends:
                break
            place = min({*ends} ^ {*other_ends})
            if not self.cut_at(b if place in ends else a, place):
                self.fix_axes((a, b), "joined to an axis that is cut elsewhere")
                return
        for place in range(len(runs)):
            if not self._same_run(a, b, place):
                self.fix_axes((a, b), "joined to an axis of other blocks")
                return
            if len(self.resolve(a)) != len(runs) or len(self.resolve(b)) != len(others):
                self.same(a, b)
                return

    def _same_run(self, a: Indices, b: Indices, which: int) -> bool:
        while True:
            run, other = self.resolve(a)[which], self.resolve(b)[which]
            for x, y in zip(run, other, strict=False):
                if x is y or (x.size == y.size):
                    self.unite(x, y)
                    continue
                small, large = sorted((x.size, y.size))
                if large % small:
                    return False
                self.split(x if x.size == large else y, small)
                break
            else:
                return True

    def times(self, outer: Indices, inner: Indices) -> Indices:
        """The axis of the two flattened, row-major."""
        runs, others = self.resolve(outer), self.resolve(inner)
        if len(others) > 1:
            self.fix_axes([outer], "what follows is a concatenation")
            return Indices([own for _ in range(outer.size) for own in others])
        return Indices([_lean((*run, *others[0])) for run in runs])

    def blocks(self, axis: Indices, inner: int) -> tuple[Indices, Indices] | None:
        """The axis as (outer, inner) of a row-major view; None where its runs do not fit."""
        outside: list[Run] = []
        inside: Indices | None = None
        if any(length(run) % inner for run in self.resolve(axis)):
            return None
        for which in range(len(self.resolve(axis))):
            cut = self._cut_run(axis, which, inner)
            if cut is None:
                return None
            outside.append(cut[0])
            own = Indices([cut[1]])
            if inside is None:
                inside = own
            else:
                self.same(inside, own)
        assert inside is not None
        return Indices(outside), inside

    def _cut_run(self, axis: Indices, which: int, inner: int) -> tuple[Run, Run] | None:
        while True:
            run = self.resolve(axis)[which]
            for place in range(len(run), -1, -1):
                after = length(run[place:])
                if after == inner:
                    return run[:place], run[place:]
                if after > inner:
                    missing = inner // length(run[place + 1 :])
                    if inner % length(run[place + 1 :]) or run[place].size % missing:
                        return None
                    self.split(run[place], run[place].size // missing)
                    break
            else:
                return None

    def respect(self, axes: Sequence[Indices]) -> None:
        """An atom keeps its dependence only where a tensor that has it has its blocks once, too."""
        there = [[*dict.fromkeys(self.resolve(axis))] for axis in axes]
        for place, runs in enumerate(there):
            others = [atom for own in (*there[:place], *there[place + 1 :]) for run in own for atom in run]
            for run in runs:
                for atom in run:
                    for parent in self.parents(atom) - {*run}:
                        if others.count(parent) != 1:
                            self.forget(atom, parent)

    def forget(self, atom: Atom, parent: Atom) -> None:
        """The same permutation in every block from now on."""
        atom.parents = self.parents(atom) - {parent}


def _lean(run: Run) -> Run:
    return tuple(atom for atom in run if atom.size > 1) or run[:1]


def _all_fixed(runs: list[Run]) -> bool:
    """Whether no index can move: of fixed atoms, or alone in a run (single indices laid end to end)."""
    return all(atom.fixed is not None for run in runs for atom in run)


def _ends(runs: list[Run]) -> list[int]:
    ends, total = [], 0
    for run in runs:
        total += length(run)
        ends.append(total)
    return ends
