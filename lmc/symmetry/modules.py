"""Where the graph's tensors go into and come out of modules: its recording points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import fx, nn

from lmc.models.activations import ACTIVATIONS
from lmc.models.stack import Point
from lmc.symmetry.tracing import Trace

Call = tuple[str, int]
Side = Literal["input", "output"]


@dataclass(frozen=True)
class Calls:
    """Every call of every module: its last operation, which gives its output."""

    last: dict[Call, fx.Node]
    count: dict[str, int]

    def point(self, call: Call, side: Side) -> Point:
        """The point before or after a call."""
        return Point(call[0], side, None if self.count[call[0]] == 1 else call[1])

    def gives(self, call: Call, node: fx.Node) -> bool:
        """Whether an operation's result is what a call gives: it is the call's last, and used behind it."""
        return self.last[call] is node and any(call not in calls_of(user) for user in node.users)

    def innermost(self, node: fx.Node) -> Call | None:
        """The call whose code an operation is."""
        own = calls_of(node)
        return own[-1] if own else None


def calls_of(node: fx.Node) -> list[Call]:
    """The calls that an operation lies in, from the outermost; the network itself is left out."""
    found = []
    for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
        if path:
            _, at, which = key.partition("@")
            found.append((path, int(which) if at else 0))
    return found


def module_calls(found: Trace) -> Calls:
    """The calls of a traced network."""
    last: dict[Call, fx.Node] = {}
    for node in found.nodes:
        for call in calls_of(node):
            last[call] = node
    count: dict[str, int] = {}
    for path, _ in last:
        count[path] = count.get(path, 0) + 1
    return Calls(last, count)


_FUNCTIONS = (
    "relu relu6 gelu silu mish tanh sigmoid elu selu celu leaky_relu prelu softplus hardswish hardsigmoid "
    "hardtanh log_sigmoid"
)


def is_activated(node: fx.Node) -> bool:
    """Whether an operation is an activation, called as a function or by a module."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.name.partition("::")[2].rstrip("_") in _FUNCTIONS.split()


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm: by its class's name, which also covers norms of a user."""
    return "norm" in type(module).__name__.lower()


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation of torch or of this project."""
    known = tuple(type(build()) for build in ACTIVATIONS.values())
    if isinstance(module, (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax)):
        return False
    return (
        isinstance(module, known)
        or hasattr(module, "mixing")
        or (type(module).__module__ == "torch.nn.modules.activation")
    )
