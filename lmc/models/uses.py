"""Where a traced network multiplies its inputs with stored weights, whatever the code calls for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from lmc.models import replay
from lmc.models.stack import Point

_SAME = {"contiguous", "clone", "alias", "detach", "to", "_to_copy", "lift_fresh_copy", "requires_grad_"}
_TURNED = {"t", "numpy_T", "mT", "transpose", "permute", "adjoint", "swapaxes", "movedim", "matrix_H"}
_PARTS = {"chunk", "split", "split_with_sizes", "unsafe_chunk", "unsafe_split", "slice", "narrow", "getitem"}
_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d", "convolution"}
_PRODUCTS = {
    "matmul",
    "mm",
    "bmm",
    "mv",
    "addmm",
    "baddbmm",
    "einsum",
    "linear",
    "bilinear",
    "_trilinear",
} | {*("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "lstm", "gru", "rnn_tanh", "rnn_relu")}


@dataclass(frozen=True)
class Use:
    """One product of a stored weight with something that depends on the inputs.

    Attributes:
        weight, bias: names in the state; no bias is "".
        axis: of the weight, along which the products' neurons lie.
        read: what is multiplied, and ``along`` which of its axes.
        made: the product, and ``across`` which of its axes the neurons lie.
        whole: whether all of the weight is used; else some of its rows.
        linear: whether it is a matrix product; else a convolution.
    """

    weight: str
    bias: str
    axis: int
    read: Point
    along: int
    made: Point
    across: int
    whole: bool
    linear: bool


@dataclass(frozen=True)
class Uses:
    """All uses by weight; why other weights that meet the inputs in a product have none; what meets none.

    ``apart`` are weights that are added, picked by indices or not used at all.
    """

    found: Mapping[str, list[Use]]
    without: Mapping[str, str]
    apart: Mapping[str, str]


def uses(module: nn.Module, example: Tensor) -> Uses:
    """What a network does with its weights of two or more axes, in the order of computation.

    A weight counts that is used as it is stored, transposed or by rows. One that is changed before, as in
    ``F.linear(x, w / w.norm())`` or ``x @ (w + b @ a)``, has no use of its own.

    Args:
        example: (B, *input_shape).

    Raises:
        Exception: whatever torch.export raises where the code cannot be traced.
    """
    return _Finder(module, replay.graph(module, example)).all()


@dataclass(frozen=True)
class _Stored:
    """A node that is a stored weight: transposed or not, all of it or some rows."""

    name: str
    turned: bool
    whole: bool


class _Finder:
    def __init__(self, module: nn.Module, graph: replay.Graph) -> None:
        self.graph, self.nodes = graph, graph.nodes
        self.weights = [name for name, tensor in module.named_parameters() if tensor.dim() > 1]
        stored = {node for node in self.nodes if node.name in graph.names}
        self.moving = {node for node in self.nodes if node.op == "placeholder"} - stored
        for node in self.nodes:
            if any(each in self.moving for each in node.all_input_nodes):
                self.moving.add(node)

    def all(self) -> Uses:
        """Every use."""
        found: dict[str, list[Use]] = {}
        touched: dict[str, str] = {}
        for node in self.nodes:
            if node.op != "call_function":
                continue
            for use in self._of(node):
                found.setdefault(use.weight, []).append(use)
            for source in node.all_input_nodes:
                weight = self._stored(source)
                if weight is not None and weight.name in self.weights and self._stored(node) is None:
                    touched.setdefault(weight.name, _name(node))
        rest = [name for name in self.weights if name not in found]
        multiplied = {name for name in rest if self._meets(name) & (_PRODUCTS | _CONVOLUTIONS)}
        why = {
            name: f"{'used in' if touched[name] in _PRODUCTS else 'first changed by'} {touched[name]}"
            for name in multiplied
        }
        apart = {name: f"used in {touched[name]}" if name in touched else "not used" for name in rest}
        return Uses(found, why, {name: reason for name, reason in apart.items() if name not in multiplied})

    def _meets(self, weight: str) -> set[str]:
        """The operations in which something computed from a weight alone first meets the inputs."""
        alone = [node for node in self.nodes if self.graph.names.get(node.name) == weight]
        met = set()
        for node in alone:
            met |= {_name(user) for user in node.users if user in self.moving}
            alone += [user for user in node.users if user not in self.moving and user not in alone]
        return met

    def _stored(self, node: Any) -> _Stored | None:
        if not isinstance(node, fx.Node):
            return None
        if node.name in self.graph.names:
            return _Stored(self.graph.names[node.name], False, True)
        name = _name(node)
        if node.op != "call_function" or name not in _SAME | _TURNED | _PARTS:
            return None
        before = self._stored(node.args[0])
        if before is None:
            return None
        if name in _SAME:
            return before
        if name in _PARTS:
            rows = name == "getitem" or _argument(node, "dim", 1 if name == "slice" else 2, 0) == 0
            return _Stored(before.name, before.turned, False) if rows and not before.turned else None
        value, was = node.meta["val"], node.args[0].meta["val"]  # type: ignore[union-attr]
        swapped = value.dim() == 2 and (value.shape, value.stride()) == (was.shape[::-1], was.stride()[::-1])
        return _Stored(before.name, not before.turned, before.whole) if swapped else None

    def _of(self, node: fx.Node) -> Iterator[Use]:
        name, args = _name(node), list[Any](node.args)
        if name in _CONVOLUTIONS:
            bias = _argument(node, "bias", 2, None)
            yield from self._use(node, args[0], args[1], (1, 0, 1), bias, False)
        elif name == "linear":
            x, weight = args[:2]
            last = _rank(x) - 1
            yield from self._use(node, x, weight, (last, 0, last), _argument(node, "bias", 2, None))
        elif name in ("matmul", "mm", "mv", "addmm"):
            a, b = args[-2:]
            if _rank(b) == 2:
                yield from self._use(node, a, b, (_rank(a) - 1, 1, _rank(node) - 1))
            if _rank(a) == 2:
                place = max(0, _rank(b) - 2)
                yield from self._use(node, b, a, (place, 0, place))
        elif name == "einsum" and len(args[1]) == 2:
            yield from self._einsum(node)

    def _einsum(self, node: fx.Node) -> Iterator[Use]:
        equation, tensors = str(node.args[0]).replace(" ", ""), list[Any](node.args[1])  # type: ignore[arg-type]
        terms, arrow, out = equation.partition("->")
        letters = terms.split(",")
        if "." in equation or not arrow or any(len({*each}) < len(each) for each in letters):
            return
        for place in (0, 1):
            read, own = letters[place], letters[1 - place]
            summed = [each for each in own if each in read and each not in out]
            made = [each for each in own if each not in read and each in out]
            if len(own) == 2 and len(summed) == len(made) == 1:
                axes = read.index(summed[0]), own.index(made[0]), out.index(made[0])
                yield from self._use(node, tensors[place], tensors[1 - place], axes)

    def _use(
        self,
        node: fx.Node,
        x: Any,
        weight: Any,
        axes: tuple[int, int, int],
        bias: Any = None,
        linear: bool = True,
    ) -> Iterator[Use]:
        """``axes``: of x that is summed, of the weight and of the product that the neurons lie along."""
        stored, offset = self._stored(weight), self._stored(bias)
        if stored is None or stored.name not in self.weights or x not in self.moving:
            return
        along, axis, across = axes
        own = 1 - axis if stored.turned else axis
        yield Use(
            stored.name,
            offset.name if offset else "",
            own,
            _point(x),
            along,
            _point(node),
            across,
            stored.whole,
            linear,
        )


def _point(node: fx.Node) -> Point:
    path = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())[-1][0]
    return Point(path, "inside", node=node.name)


def _name(node: fx.Node) -> str:
    schema = getattr(node.target, "_schema", None)
    name = getattr(node.target, "__name__", "") if schema is None else schema.name.partition("::")[2]
    return str(name).rstrip("_") if not str(name).startswith("_") else str(name)


def _argument(node: fx.Node, name: str, place: int, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _rank(node: Any) -> int:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value.dim() if isinstance(value, Tensor) else 0
