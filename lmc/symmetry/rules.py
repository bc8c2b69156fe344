"""What each operation of a traced network says of the axes of its arguments and results.

A rule takes the operation and returns its result's axes. An operation without a rule fixes all it touches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from lmc.symmetry.atoms import Algebra, Axes, Indices

Rule = Callable[["Operation"], "Axes | list[Axes]"]


@dataclass
class Uses:
    """Which calls make neurons and which read them: (call, weight or input, axis of the result or input)."""

    owners: list[tuple[fx.Node, fx.Node, int]] = field(default_factory=list)
    readers: list[tuple[fx.Node, fx.Node, int]] = field(default_factory=list)
    norms: list[fx.Node] = field(default_factory=list)


@dataclass
class Operation:
    """One call in the graph, its arguments by name, and the axes known so far."""

    node: fx.Node
    algebra: Algebra
    known: dict[fx.Node, Any]
    name: str
    uses: Uses
    arguments: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        schema = self.node.target._schema.arguments  # type: ignore[union-attr]
        given = dict(zip([each.name for each in schema], self.node.args, strict=False))
        defaults = {each.name: each.default_value for each in schema if each.has_default_value()}
        found = {**defaults, **given, **self.node.kwargs}
        self.arguments = {each.name: found[each.name] for each in schema if each.name in found}

    def axes(self, name: str) -> Axes | None:
        """Of an argument; None where it is not a tensor."""
        value = self.arguments.get(name)
        return self.known[value] if isinstance(value, fx.Node) and value in self.known else None

    def tensors(self) -> list[tuple[fx.Node, Axes]]:
        """All tensor arguments."""
        return [(node, self.known[node]) for node in self.node.all_input_nodes if node in self.known]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return tuple(self.node.meta["val"].shape)

    def dims(self, name: str = "dim", rank: int | None = None) -> list[int]:
        """Axes named by an argument, counted from the front; all of them where it is None or empty."""
        count = len(self.axes(self._first()) or ()) if rank is None else rank
        value = self.arguments.get(name)
        if value is None or value == []:
            return list(range(count))
        return [each % count for each in ([value] if isinstance(value, int) else value)]

    def _first(self) -> str:
        return next(iter(self.arguments))

    @property
    def first(self) -> Axes:
        """The axes of the first argument."""
        found = self.axes(self._first())
        assert found is not None
        return found

    def fixed(self, size: int, what: str = "") -> Indices:
        """A new axis that cannot move."""
        return self.algebra.axis(size, fixed=what or f"the positions of {self.name}")

    def fix(self, *axes: Indices, what: str = "") -> None:
        """These cannot move."""
        self.algebra.fix_axes(axes, what or self.name)


def elementwise(op: Operation) -> Axes:
    """Axes aligned from the back; those of size 1 are repeated."""
    rank = len(op.shape)
    out: list[Indices | None] = [None] * rank
    for dim in range(rank):
        for _, axes in op.tensors():
            place = dim - rank + len(axes)
            if place >= 0 and axes[place].size == op.shape[dim]:
                before = out[dim]
                if before is None:
                    out[dim] = axes[place]
                else:
                    op.algebra.same(before, axes[place])
    return [axis or op.algebra.axis(size, free=True) for axis, size in zip(out, op.shape, strict=True)]


def parametric(op: Operation) -> Axes:
    """PReLU: one slope for all, or one a channel."""
    slopes = op.axes("weight")
    if slopes is not None and slopes[0].size > 1:
        op.algebra.same(op.first[1], slopes[0])
    return list(op.first)


def unchanged(op: Operation) -> Axes:
    """The first argument's axes."""
    return list(op.first)


def constant(op: Operation) -> Axes:
    """All values are equal."""
    return [op.algebra.axis(size, free=True) for size in op.shape]


def numbered(op: Operation) -> Axes:
    """Values that depend on their place."""
    return [op.fixed(size, f"the values of {op.name}") for size in op.shape]


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
    singles = iter(kept if same else [Indices([()]) for _ in op.shape])
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
        axis if axis is not None and axis.size == size else op.algebra.axis(size, free=True)
        for axis, size in zip(first, shape, strict=True)
    ]


def repeated(op: Operation) -> Axes:
    """Whole axes several times over."""
    first, shape = op.first, op.shape
    ones = [Indices([()]) for _ in range(len(shape) - len(first))]
    return [
        op.algebra.times(op.algebra.axis(size // axis.size, free=True), axis)
        for axis, size in zip([*ones, *first], shape, strict=True)
    ]


def repeat_interleaved(op: Operation) -> Axes:
    """Each index several times over."""
    dim = op.arguments.get("dim")
    if not isinstance(dim, int) or not isinstance(op.arguments.get("repeats"), int):
        return unknown(op)
    out = list(op.first)
    out[dim] = op.algebra.times(out[dim], op.algebra.axis(op.arguments["repeats"], free=True))
    return out


def concatenated(op: Operation) -> Axes:
    """One axis end to end, the others alike."""
    tensors = op.arguments["tensors"]
    parts = [op.known[each] for each in tensors if len(op.known[each]) == len(op.shape)]
    if len(parts) != len(tensors):
        return unknown(op)
    dim = op.dims(rank=len(op.shape))[0]
    return _joined(op, parts, dim)


def stacked(op: Operation) -> Axes:
    """A new axis."""
    dim = op.dims(rank=len(op.shape))[0]
    parts = [list(op.known[each]) for each in op.arguments["tensors"]]
    for part in parts:
        part.insert(dim, Indices([()]))
    return _joined(op, parts, dim)


def _joined(op: Operation, parts: list[Axes], dim: int) -> Axes:
    out = list(parts[0])
    for part in parts[1:]:
        for place in range(len(out)):
            if place != dim:
                op.algebra.same(out[place], part[place])
    out[dim] = Indices([run for part in parts for run in op.algebra.resolve(part[dim])])
    return out


def _part(op: Operation, dim: int, start: int, stop: int) -> Axes:
    """Indices start to stop of an axis; atoms that depend on that part become the ones that belong to it."""
    axes, algebra = list(op.first), op.algebra
    axis = axes[dim]
    if (start, stop) == (0, axis.size):
        return axes
    if not (algebra.cut_at(axis, start) and algebra.cut_at(axis, stop)):
        op.fix(axis)
        axes[dim] = op.fixed(stop - start)
        return axes
    place, own = 0, []
    for run in algebra.resolve(axis):
        if start <= place < stop:
            own.append(run)
        place += Indices([run]).size
    axes[dim] = Indices(own)
    at: dict[Any, int] = {}
    if len(own) == 1 and own[0]:
        origin = own[0][0].origin
        while origin is not None:
            at[origin[0]] = origin[1]
            origin = origin[0].origin
    return [each if place == dim else Indices(algebra.resolve(each, at)) for place, each in enumerate(axes)]


def _unrolled(op: Operation, dim: int) -> None:
    """Cut an axis into single indices, so that what depends on it may differ from one to the next."""
    axis = op.first[dim]
    runs = op.algebra.resolve(axis)
    if len(runs) == 1 and len(runs[0]) == 1 and axis.size <= 64:
        atom = runs[0][0]
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
    if step != 1 or not len(places):
        op.fix(op.first[dim])
        return [op.fixed(op.shape[dim]) if place == dim else axis for place, axis in enumerate(op.first)]
    return _part(op, dim, places[0], places[-1] + 1)


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


def reduced(op: Operation) -> Axes:
    """Axes go; every order gives the same."""
    dims = op.dims()
    keep = bool(op.arguments.get("keepdim", False))
    kept = [Indices([()]) if place in dims else axis for place, axis in enumerate(op.first)]
    return [axis for place, axis in enumerate(kept) if keep or place not in dims]


def reduced_twice(op: Operation) -> list[Axes]:
    """The same with two results; the second may be the place, which no permutation keeps."""
    if isinstance(op.node.meta["val"], Tensor):
        return reduced(op)  # type: ignore[return-value]
    if not op.name.startswith(("var", "std")):
        op.fix(*[op.first[dim] for dim in op.dims()])
    return [reduced(op), reduced(op)]


def ordered(op: Operation) -> Axes:
    """Results that depend on the order along an axis."""
    op.fix(*[op.first[dim] for dim in op.dims("dims" if "dims" in op.arguments else "dim")])
    return list(op.first) if len(op.shape) == len(op.first) else reduced(op)


def spatial(op: Operation) -> Axes:
    """Pools and resampling: samples and channels pass, positions stay."""
    own = len(op.shape) - sum(a.size == b for a, b in zip(op.first, op.shape, strict=True))
    rank = max(own, _SPATIAL.get(op.name.partition(".")[0], 2))
    op.fix(*op.first[-rank:], what=f"the positions of {op.name}")
    return [*op.first[:-rank], *(op.fixed(size) for size in op.shape[-rank:])]


_SPATIAL = {f"{kind}_pool{rank}d": rank for kind in ("max", "avg") for rank in (1, 2, 3)} | {
    f"adaptive_{kind}_pool{rank}d": rank for kind in ("max", "avg") for rank in (1, 2, 3)
}


def padded(op: Operation) -> Axes:
    """Constants before and after; other ways of padding depend on the places."""
    pad, out = list(op.arguments["pad"]), list(op.first)
    mode = op.arguments.get("mode", "constant")
    for which in range(0, len(pad), 2):
        dim = len(out) - 1 - which // 2
        before, after = pad[which], pad[which + 1]
        if not before and not after:
            continue
        if mode != "constant" or before < 0 or after < 0:
            op.fix(out[dim])
            out[dim] = op.fixed(op.shape[dim])
            continue
        ends = [op.algebra.axis(size, free=True) if size else Indices([]) for size in (before, after)]
        out[dim] = Indices([*ends[0].runs, *op.algebra.resolve(out[dim]), *ends[1].runs])
    return out


def unknown(op: Operation) -> Any:
    """Fix all."""
    for _, axes in op.tensors():
        op.fix(*axes, what=f"{op.name}, which has no rule")
    values = op.node.meta["val"]
    made = [
        [op.fixed(size, op.name) for size in value.shape] if isinstance(value, Tensor) else None
        for value in (values if isinstance(values, (tuple, list)) else [values])
    ]
    return made if isinstance(values, (tuple, list)) else made[0]


def _named(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


SHAPES: dict[str, Rule] = {
    **_named(
        unchanged,
        "clone contiguous detach alias to _to_copy type_as dropout feature_dropout alpha_dropout lift_fresh "
        "lift_fresh_copy softmax log_softmax _softmax _log_softmax _safe_softmax native_dropout float double "
        "zeros_like ones_like full_like",
    ),
    **_named(elementwise, "hardswish log_sigmoid where rsub __and__ __or__ floor_divide masked_fill"),
    **_named(parametric, "prelu"),
    **_named(constant, "zeros ones full empty new_zeros new_ones new_full new_empty scalar_tensor"),
    **_named(numbered, "arange linspace eye tril_indices triu_indices rand randn one_hot"),
    **_named(permuted, "permute transpose t numpy_T mT mH adjoint movedim moveaxis swapaxes swapdims"),
    **_named(reshaped, "view reshape flatten unflatten squeeze unsqueeze _unsafe_view view_as reshape_as"),
    **_named(expanded, "expand expand_as broadcast_to"),
    **_named(repeated, "repeat tile"),
    **_named(repeat_interleaved, "repeat_interleave"),
    **_named(concatenated, "cat concat concatenate"),
    **_named(stacked, "stack"),
    **_named(selected, "select"),
    **_named(sliced, "slice narrow"),
    **_named(in_pieces, "split split_with_sizes chunk tensor_split"),
    **_named(unbound, "unbind"),
    **_named(indexed, "index"),
    **_named(
        reduced,
        "sum mean amax amin var std norm linalg_vector_norm logsumexp prod all any nansum nanmean "
        "count_nonzero",
    ),
    **_named(reduced_twice, "max min median var_mean std_mean"),
    **_named(
        ordered, "cumsum cumprod flip roll argmax argmin argsort tril triu cummax cummin logcumsumexp diff"
    ),
    **_named(
        spatial,
        "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
        "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d upsample_nearest2d upsample_bilinear2d "
        "upsample_bicubic2d upsample_nearest1d upsample_linear1d",
    ),
    **_named(padded, "pad constant_pad_nd"),
}


def is_elementwise(target: Any) -> bool:
    """Whether torch says so of an operation."""
    return torch.Tag.pointwise in getattr(target, "tags", ())
