"""What operations ask of axes: to permute alike, to lie end to end, to be flattened and cut into blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import combinations

from lmc.symmetry.atoms import At, Atom, Atoms, Axes, Indices, Run, Terms


class Algebra(Atoms):
    """Refines atoms until what an operation asks of its axes holds; fixes them where nothing else does."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Axes] = []

    def same(self, a: Indices, b: Indices) -> None:
        """Two axes of equal size permute alike."""
        assert a.size == b.size
        while True:
            runs, others = self.resolve(a), self.resolve(b)
            if runs == others or (a.size == 1 and not (runs[0].terms and others[0].terms)):
                return
            if a.size > 1 and (_all_fixed(runs) or _all_fixed(others)):
                reasons = [atom.fixed for run in (*runs, *others) for atom in run.atoms]
                self.fix_axes((a, b), next(filter(None, reasons), "joined to indices of their own"))
                return
            changed = self._match(runs, others)
            if changed is None:
                return
            if not changed:
                self.fix_axes((a, b), "joined to an axis of other blocks")
                return

    def _match(self, runs: Sequence[Run], others: Sequence[Run]) -> bool | None:
        """One step that makes two axes more alike; False where there is none, None where they are alike."""
        parts, own = _segments(runs), _segments(others)
        starts, other_starts = ({part[0].offset for part in each} for each in (parts, own))
        if starts != other_starts:
            place = min(starts ^ other_starts)
            return self._cut(others if place in starts else runs, place)
        for part, other in zip(parts, own, strict=True):
            changed = self._match_part(part, other)
            if changed is not None:
                return changed
        return None

    def _match_part(self, part: Sequence[Run], other: Sequence[Run]) -> bool | None:
        x, y = _outermost(part), _outermost(other)
        if x is None or y is None:
            if any(self._share([run.terms[:1] for run in each]) for each in (part, other)):
                return True
            return None if part[0].length == other[0].length == 1 else False
        (a, step), (b, other_step) = x, y
        if step != other_step:
            small, large = sorted((step, other_step))
            atom = a if step == small else b
            if large % small or atom.size % (large // small):
                return False
            self.split(atom, atom.size // (large // small))
            return True
        if a is not b:
            self.unite(a, b)
            return True
        return self._match(_within(part), _within(other))

    def cut_at(self, axis: Indices, place: int) -> bool:
        """Make no run of the axis cross index ``place``; False where it cannot."""
        runs = self.resolve(axis)
        while 0 < place < axis.size and all(part[0].offset != place for part in _segments(runs)):
            if not self._cut(runs, place):
                return False
            runs = self.resolve(axis)
        return True

    def _cut(self, runs: Sequence[Run], place: int) -> bool:
        part = [each for each in _segments(runs) if each[0].offset < place][-1]
        if self._share([run.terms[:1] for run in part]):
            return True
        outermost = _outermost(part)
        if outermost is None:
            return False
        before, inside = divmod(place - part[0].offset, outermost[1])
        sizes = (
            [before, 1, outermost[0].size - before - 1] if inside else [before, outermost[0].size - before]
        )
        self.cut(outermost[0], sizes)
        return True

    def _share(self, products: Iterable[Terms]) -> bool:
        """Unite the atoms of two products, where these differ in nothing else; False where there are none."""
        for a, b in combinations(products, 2):
            if a != b and [(x.size, step) for x, step in a] == [(y.size, step) for y, step in b]:
                for (x, _), (y, _) in zip(a, b, strict=True):
                    self.same(Indices.of(x), Indices.of(y))
                return True
        return False

    def times(self, outer: Indices, inner: Indices) -> Indices:
        """The axis of the two flattened, row-major."""
        size = inner.size
        placed = [(a.placed(0, size), b) for a in outer.runs for b in inner.runs]
        return Indices(Run(a.offset + b.offset, (*a.terms, *b.terms)) for a, b in placed)

    def blocks(self, axis: Indices, inner: int) -> tuple[Indices, Indices] | None:
        """The axis as (outer, inner) of a row-major view; None where its runs do not fit."""
        while True:
            terms = [term for run in self.resolve(axis) for term in run.terms]
            across = next((each for each in terms if each[1] < inner < each[1] * each[0].size), None)
            if across is None:
                break
            atom, step = across
            if inner % step or atom.size % (inner // step):
                return None
            self.split(atom, atom.size // (inner // step))
        found: dict[Run, list[Run]] = {}
        for run in self.resolve(axis):
            outer = [(atom, step // inner) for atom, step in run.terms if step >= inner]
            own = Run(run.offset % inner, tuple(term for term in run.terms if term[1] < inner))
            if own.stop > inner or any(step % inner for _, step in run.terms if step >= inner):
                return None
            found.setdefault(Run(run.offset // inner, tuple(outer)), []).append(own)
        first, *others = inside = [Indices(runs) for runs in found.values()]
        if any(each.size != inner for each in inside):
            starts = {run.offset for run in found}
            shared = any(self._share([run.terms for run in found if run.offset == each]) for each in starts)
            return self.blocks(axis, inner) if shared else None
        for other in others:
            self.same(first, other)
        return Indices(found), first

    def part(self, axes: Axes, dim: int, start: int, stop: int) -> Axes | None:
        """Indices start to stop of one axis; None where it cannot be cut there.

        Atoms of the other axes that depend on that part become the ones that belong to it.
        """
        axis = axes[dim]
        if (start, stop) == (0, axis.size):
            return axes
        if not (self.cut_at(axis, start) and self.cut_at(axis, stop)):
            return None
        own = [(run, at) for run, at in self.opened(axis) if start <= run.offset < stop]
        at = dict(item for item in own[0][1].items() if all(item in each.items() for _, each in own))
        cut = [Indices(self.resolve(each, at)) if at else each for each in axes]
        cut[dim] = Indices(run.placed(-start) for run, _ in own)
        return cut

    def mix(self, axes: Axes, dims: Collection[int]) -> None:
        """An operation lets indices of some axes meet: atoms of the others do not depend on these."""
        met = {atom for dim in dims for run in self.resolve(axes[dim]) for atom in run.atoms}
        rest = [axis for dim, axis in enumerate(axes) if dim not in dims]
        for atom in {atom for axis in rest for run in self.resolve(axis) for atom in run.atoms}:
            for parent in self.parents(atom) & met:
                self.forget(atom, parent)

    def summed(self, a: Indices, b: Indices) -> None:
        """Two axes permute alike and are summed over; where one only repeats, the other's indices stay."""
        atoms = [atom for axis in (a, b) for run in self.resolve(axis) for atom in run.atoms]
        copies = [atom for atom in atoms if atom.copies]
        self.same(a, b)
        self.fix(copies, "values that are repeated")

    def respect(self, axes: Axes) -> None:
        """An atom keeps its dependence only where a tensor that has it has its blocks once, too."""
        for there in self._in_pieces(axes, {}):
            for place, runs in enumerate(there):
                others = [*there[:place], *there[place + 1 :]]
                for atoms, atom in ((run.atoms, atom) for run in runs for atom in run.atoms):
                    for parent in self.parents(atom):
                        own = atoms.count(parent)
                        if own > 1 or (own == 0 and not _along_one(parent, others)):
                            self.forget(atom, parent)

    def _in_pieces(self, axes: Axes, at: At) -> Iterator[list[list[Run]]]:
        """The axes of a tensor; once for every piece of what one is cut into and others depend on."""
        opened = [self.opened(axis, at, settle=False) for axis in axes]
        atoms = [atom for each in opened for run, _ in each for atom in run.atoms]
        for cut in dict.fromkeys(atom.pieces[0] for atom in atoms if atom.pieces is not None):
            along = [
                place for place, each in enumerate(opened) if each and all(cut in own for _, own in each)
            ]
            if len(along) == 1 and cut.link is not None:
                (dim,) = along
                for which in range(len(cut.link)):
                    part = Indices(run for run, own in opened[dim] if own[cut] == which)
                    yield from self._in_pieces([*axes[:dim], part, *axes[dim + 1 :]], {**at, cut: which})
                return
        yield [self.resolve(axis, at) for axis in axes]

    def see(self, axes: Axes) -> None:
        """Respect a tensor now and, in what its atoms have become, by :meth:`respect_all`."""
        self.respect(axes)
        opened = [self.opened(axis, settle=False) for axis in axes]
        free = [all(run.terms and all(a.free for a in run.atoms) for run, _ in each) for each in opened]
        self._seen.append([Indices([]) if own else axis for own, axis in zip(free, axes, strict=True)])

    def respect_all(self) -> None:
        """Once all atoms are known; an axis whose values were all equal took any meaning."""
        for axes in self._seen:
            self.respect(axes)


def _along_one(atom: Atom, axes: Iterable[Sequence[Run]]) -> bool:
    """Whether every index of one axis, and of no other, has one value of the atom."""
    bound = [
        [run for run in runs if not run.terms or not all(each.free for each in run.atoms)] for runs in axes
    ]
    counts = [{run.atoms.count(atom) for run in runs} for runs in bound]
    return [each for each in counts if each - {0}] == [{1}]


def _all_fixed(runs: Iterable[Run]) -> bool:
    """Whether no index can move: of fixed atoms, or alone in a run (single indices laid end to end)."""
    return all(atom.fixed is not None or atom.size == 1 for run in runs for atom in run.atoms)


def _segments(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs in groups that lie end to end."""
    found: list[list[Run]] = []
    stop = 0
    for run in runs:
        if not found or run.offset >= stop:
            found.append([])
        found[-1].append(run)
        stop = max(stop, run.stop)
    return found


def _outermost(part: Sequence[Run]) -> tuple[Atom, int] | None:
    """The atom with the largest stride, where all runs of a segment share it."""
    found = {run.terms[0] if run.terms else None for run in part}
    return found.pop() if len(found) == 1 else None


def _within(part: Sequence[Run]) -> list[Run]:
    """The axis of one block of a segment's outermost atom."""
    return [Run(run.offset - part[0].offset, run.terms[1:]) for run in part]
