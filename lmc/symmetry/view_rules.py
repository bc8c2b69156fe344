"""Operations that move axes about: views, slices, concatenations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from lmc.symmetry.atoms import Axes, Indices
from lmc.symmetry.rules import Operation, Rule, named, unknown


def permuted(op: Operation) -> Axes:
    """Transpositions: found by letting the operation act on axes of size 2, 3, 4, ..."""
    first = op.first
    probe = torch.empty([place + 2 for place in range(len(first))], device="meta")
    moved = op.node.target(probe, *op.node.args[1:], **op.node.kwargs)  # type: ignore[operator]
    return [first[size - 2] for size in moved.shape]


def reshaped(op: Operation) -> Axes:
    """Row-major views: axes are flattened, and cut into blocks."""
    axes = [axis for axis in op.first if axis.size > 1]
    sizes = [size for size in op.shape if size > 1]
    found = iter(_regrouped(op, axes, sizes))
    kept = [axis for axis in op.first if axis.size == 1]
    same = len(kept) == sum(size == 1 for size in op.shape)
    singles = iter(kept if same else [Indices.single() for _ in op.shape])
    return [next(found) if size > 1 else next(singles) for size in op.shape]


def _regrouped(op: Operation, axes: list[Indices], sizes: list[int]) -> Iterator[Indices]:
    axes, sizes = list(axes), list(sizes)
    while axes:
        flat, wanted = axes.pop(0), [sizes.pop(0)]
        while flat.size != math.prod(wanted):
            if flat.size < math.prod(wanted):
                flat = op.algebra.times(flat, axes.pop(0))
            else:
                wanted.append(sizes.pop(0))
        yield from _blocks(op, flat, wanted)


def _blocks(op: Operation, flat: Indices, sizes: list[int]) -> Iterator[Indices]:
    for place in range(len(sizes) - 1):
        parts = op.algebra.blocks(flat, math.prod(sizes[place + 1 :]))
        if parts is None:
            op.fix(flat)
            yield from (op.fixed(size) for size in sizes[place:])
            return
        outer, flat = parts
        yield outer
    yield flat


def expanded(op: Operation) -> Axes:
    """Axes of size 1 are repeated; new ones stand in front."""
    first, shape = op.first, op.shape
    first = [*([None] * (len(shape) - len(first))), *first]  # type: ignore[list-item]
    return [
        axis if axis is not None and axis.size == size else op.algebra.repeated(size)
        for axis, size in zip(first, shape, strict=True)
    ]


def repeated(op: Operation) -> Axes:
    """Whole axes several times over."""
    first, shape = op.first, op.shape
    ones = [Indices.single() for _ in range(len(shape) - len(first))]
    return [
        op.algebra.times(op.algebra.repeated(size // axis.size), axis)
        for axis, size in zip([*ones, *first], shape, strict=True)
    ]


def repeat_interleaved(op: Operation) -> Axes:
    """Each index several times over."""
    dim = op.arguments.get("dim")
    if not isinstance(dim, int) or not isinstance(op.arguments.get("repeats"), int):
        return unknown(op)
    out = list(op.first)
    out[dim] = op.algebra.times(out[dim], op.algebra.repeated(op.arguments["repeats"]))
    return out


def concatenated(op: Operation) -> Axes:
    """One axis end to end, the others alike; tensors without values (an empty cache) add nothing."""
    parts = [op.known[each] for each in op.arguments["tensors"] if each.meta["val"].numel()]
    dim = op.dims(rank=len(op.shape))[0]
    return _joined(op, parts, dim)


def stacked(op: Operation) -> Axes:
    """A new axis."""
    dim = op.dims(rank=len(op.shape))[0]
    parts = [list(op.known[each]) for each in op.arguments["tensors"]]
    for part in parts:
        part.insert(dim, Indices.single())
    return _joined(op, parts, dim)


def _joined(op: Operation, parts: list[Axes], dim: int) -> Axes:
    out = list(parts[0])
    for part in parts[1:]:
        for place in range(len(out)):
            if place != dim:
                op.algebra.same(out[place], part[place])
    out[dim] = Indices.joined(part[dim] for part in parts)
    return out


def _part(op: Operation, dim: int, start: int, stop: int) -> Axes:
    axes = op.algebra.part(list(op.first), dim, start, stop)
    if axes is None:
        op.fix(op.first[dim])
        axes = [op.fixed(stop - start) if place == dim else axis for place, axis in enumerate(op.first)]
    return axes


def _unrolled(op: Operation, dim: int) -> None:
    """Cut an axis into single indices, so that what depends on it may differ from one to the next."""
    axis = op.first[dim]
    runs = op.algebra.resolve(axis)
    if len(runs) == 1 and len(runs[0].terms) == 1 and axis.size <= 64:
        atom = runs[0].atoms[0]
        if any(each.link is None and atom in op.algebra.parents(each) for each in op.algebra.atoms):
            op.algebra.cut(atom, [1] * atom.size)


def selected(op: Operation) -> Axes:
    """One index of an axis, which goes."""
    dim = op.dims()[0]
    size = op.first[dim].size
    index = op.arguments["index"]
    if not isinstance(index, int):
        return unknown(op)
    _unrolled(op, dim)
    axes = _part(op, dim, index % size, index % size + 1)
    return [axis for place, axis in enumerate(axes) if place != dim]


def sliced(op: Operation) -> Axes:
    """Indices start to end of an axis."""
    dim = op.dims()[0]
    size = op.first[dim].size
    start, end, step = op.arguments.get("start"), op.arguments.get("end"), op.arguments.get("step", 1)
    if op.name.startswith("narrow"):
        end = start + op.arguments["length"]
    if not all(each is None or isinstance(each, int) for each in (start, end, step)):
        return unknown(op)
    places = range(size)[slice(start, end, step)]
    parts = op.algebra.blocks(op.first[dim], step) if step > 1 and size % step == 0 else None
    if parts is not None and len(places) == size // step:
        split = [*op.first[:dim], *parts, *op.first[dim + 1 :]]
        found = op.algebra.part(split, dim + 1, places[0], places[0] + 1)
        if found is not None:
            return [axis for place, axis in enumerate(found) if place != dim + 1]
    if step != 1 or not len(places):
        op.fix(op.first[dim])
        return [op.fixed(op.shape[dim]) if place == dim else axis for place, axis in enumerate(op.first)]
    return _part(op, dim, places[0], places[-1] + 1)


def gated(op: Operation) -> Axes:
    """glu: the first half of an axis times a function of the second."""
    dim = op.dims()[0]
    size = op.shape[dim]
    halves = _part(op, dim, 0, size), _part(op, dim, size, 2 * size)
    for a, b in zip(*halves, strict=True):
        op.algebra.same(a, b)
    return halves[0]


def shuffled(op: Operation) -> Axes:
    """Channels dealt out among groups."""
    axes = op.first
    parts = op.algebra.blocks(axes[1], axes[1].size // op.arguments["groups"])
    if parts is None:
        return unknown(op)
    return [axes[0], op.algebra.times(parts[1], parts[0]), *axes[2:]]


def rearranged(op: Operation) -> Axes:
    """pixel_shuffle and its inverse: positions become channels of their own, or channels positions."""
    *lead, channels, _, _ = op.first
    op.fix(*op.first[-2:])
    if op.shape[-3] >= channels.size:
        moved = op.algebra.times(channels, op.fixed(op.shape[-3] // channels.size))
        return [*lead, moved, *map(op.fixed, op.shape[-2:])]
    parts = op.algebra.blocks(channels, channels.size // op.shape[-3])
    if parts is None:
        return unknown(op)
    op.fix(parts[1])
    return [*lead, parts[0], *map(op.fixed, op.shape[-2:])]


def in_pieces(op: Operation) -> list[Axes]:
    """split and chunk."""
    dim = op.dims()[0]
    start, found = 0, []
    for value in op.node.meta["val"]:
        found.append(_part(op, dim, start, start + value.shape[dim]))
        start += value.shape[dim]
    return found


def unbound(op: Operation) -> list[Axes]:
    """All indices of an axis, one by one."""
    dim = op.dims()[0]
    _unrolled(op, dim)
    parts = [_part(op, dim, index, index + 1) for index in range(op.first[dim].size)]
    return [[axis for place, axis in enumerate(axes) if place != dim] for axes in parts]


def indexed(op: Operation) -> Axes:
    """Rows picked by integers: the axes picked from stay, the others pass."""
    indices, first = op.arguments["indices"], op.first
    where = [place for place, each in enumerate(indices) if each is not None]
    if where != list(range(where[0], where[-1] + 1)):
        return unknown(op)
    op.fix(*[first[place] for place in where], *[axis for node in indices if node for axis in op.known[node]])
    count = len(op.shape) - (len(first) - len(where))
    picked = [op.fixed(op.shape[where[0] + place]) for place in range(count)]
    return [*first[: where[0]], *picked, *first[where[-1] + 1 :]]


VIEWS: dict[str, Rule] = {
    **named(permuted, "permute transpose t numpy_T mT mH adjoint movedim moveaxis swapaxes swapdims"),
    **named(reshaped, "view reshape flatten unflatten squeeze unsqueeze _unsafe_view view_as reshape_as"),
    **named(expanded, "expand expand_as broadcast_to"),
    **named(repeated, "repeat tile"),
    **named(repeat_interleaved, "repeat_interleave"),
    **named(concatenated, "cat concat concatenate"),
    **named(stacked, "stack"),
    **named(selected, "select"),
    **named(sliced, "slice narrow"),
    **named(gated, "glu"),
    **named(shuffled, "channel_shuffle native_channel_shuffle"),
    **named(rearranged, "pixel_shuffle pixel_unshuffle"),
    **named(in_pieces, "split split_with_sizes chunk tensor_split"),
    **named(unbound, "unbind"),
    **named(indexed, "index"),
}
