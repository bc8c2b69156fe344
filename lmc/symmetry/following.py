"""Where the neurons of one tensor lie in another that is computed from it."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor, fx, nn

from lmc.core.errors import LmcError
from lmc.models.stack import Point
from lmc.symmetry.algebra import Algebra
from lmc.symmetry.atoms import Indices, Run
from lmc.symmetry.modules import Calls, module_calls
from lmc.symmetry.tracing import Trace, trace


class Following:
    """The axes of a traced network, to be followed from module to module."""

    def __init__(self, model: nn.Module, example_input: Tensor) -> None:
        """A model is traced on (B, *input_shape) when it is asked for first."""
        self._given = model, example_input

    @cached_property
    def _trace(self) -> Trace | None:
        try:
            return trace(*self._given)
        except LmcError:
            return None

    @cached_property
    def _calls(self) -> Calls:
        assert self._trace is not None
        return module_calls(self._trace)

    def axis(self, start: Point, axis: int, end: Point) -> int | None:
        """On which axis of a module's output the neurons of another's lie; None where that is not known.

        A permutation or a norm moves or keeps the axis, pooling keeps it. Flattened with positions the
        neurons have no axis of their own. Nothing is known of a model that cannot be traced.

        Args:
            start, end: outputs of modules.
            axis: of ``start``, counted from the batch axis, 0.
        """
        if self._trace is None:
            return None
        first, last = self._node(start), self._node(end)
        if first is None or last is None:
            return None
        algebra = self._trace.algebra
        neurons = _runs(algebra, first[axis])
        found = [place for place, each in enumerate(last) if place and _runs(algebra, each) == neurons]
        return found[0] if neurons and len(found) == 1 else None

    def _node(self, point: Point) -> list[Indices] | None:
        assert self._trace is not None
        node: fx.Node | None = self._calls.last.get((point.module, point.call or 0))
        axes = None if node is None else self._trace.axes.get(node)
        if node is None or not axes or not isinstance(axes[0], Indices):
            return None
        shape = self._trace.shapes.get((point.module, point.call or 0, "output"))
        return list(axes) if tuple(node.meta["val"].shape) == shape else None


def _runs(algebra: Algebra, axis: Indices) -> list[Run]:
    return [run for run in algebra.resolve(axis) if run.terms]
