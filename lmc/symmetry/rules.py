"""What each operation of a traced network means for the axes of its arguments and results.

A rule takes the operation and returns its result's axes. An operation without a rule fixes all it touches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from lmc.symmetry.algebra import Algebra
from lmc.symmetry.atoms import Axes, Indices

Rule = Callable[["Operation"], "Axes | list[Axes]"]


@dataclass
class Uses:
    """Which calls make neurons and which read them: (call, weight or input, axis of the result or input).

    ``products`` are calls of which any factor may be a weight.
    """

    owners: list[tuple[fx.Node, fx.Node, int]] = field(default_factory=list)
    products: list[tuple[fx.Node, fx.Node, int]] = field(default_factory=list)
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

    def mix(self, *dims: int) -> None:
        """Along these axes of the first argument, each result depends on several places."""
        self.algebra.mix(self.first, dims)


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


def normalised(op: Operation) -> Axes:
    """softmax: in every order the same along an axis, whose places meet."""
    op.mix(*op.dims())
    return list(op.first)


def constant(op: Operation) -> Axes:
    """All values are equal."""
    return [op.algebra.axis(size, free=True) for size in op.shape]


def numbered(op: Operation) -> Axes:
    """Values that depend on their place."""
    return [op.fixed(size, f"the values of {op.name}") for size in op.shape]


def reduced(op: Operation) -> Axes:
    """Axes go; every order gives the same."""
    dims = op.dims()
    keep = bool(op.arguments.get("keepdim", False))
    kept = [Indices.single() if place in dims else axis for place, axis in enumerate(op.first)]
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
    dims = op.dims("dims" if "dims" in op.arguments else "dim")
    op.mix(*dims)
    op.fix(*[op.first[dim] for dim in dims])
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
        out[dim] = Indices.joined([ends[0], out[dim], ends[1]])
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


def named(rule: Rule, names: str) -> dict[str, Rule]:
    """One rule for several operations."""
    return dict.fromkeys(names.split(), rule)


VALUES: dict[str, Rule] = {
    **named(
        unchanged,
        "clone contiguous detach alias to _to_copy type_as dropout feature_dropout alpha_dropout lift_fresh "
        "lift_fresh_copy native_dropout float double zeros_like ones_like full_like",
    ),
    **named(normalised, "softmax log_softmax _softmax _log_softmax _safe_softmax"),
    **named(elementwise, "hardswish log_sigmoid where rsub __and__ __or__ floor_divide masked_fill"),
    **named(parametric, "prelu"),
    **named(constant, "zeros ones full empty new_zeros new_ones new_full new_empty scalar_tensor"),
    **named(numbered, "arange linspace eye tril_indices triu_indices rand randn one_hot"),
    **named(
        reduced,
        "sum mean amax amin var std norm linalg_vector_norm logsumexp prod all any nansum nanmean "
        "count_nonzero",
    ),
    **named(reduced_twice, "max min median var_mean std_mean"),
    **named(
        ordered, "cumsum cumprod flip roll argmax argmin argsort tril triu cummax cummin logcumsumexp diff"
    ),
    **named(
        spatial,
        "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
        "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d upsample_nearest2d upsample_bilinear2d "
        "upsample_bicubic2d upsample_nearest1d upsample_linear1d",
    ),
    **named(padded, "pad constant_pad_nd"),
}


def is_elementwise(target: Any) -> bool:
    """Whether torch tags an operation as pointwise."""
    return torch.Tag.pointwise in getattr(target, "tags", ())
