"""A network replayed as the graph that torch.export traces: any tensor can be read, whatever made it.

Hooks show what goes into and comes out of modules. What lies between, as in ``F.linear(x, self.a.weight)``,
an einsum or ``nn.MultiheadAttention``, only the graph shows. Node names count operations of a kind, so that
they are the same for every batch size and type.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind
from torch.utils._python_dispatch import _disable_current_modes

from lmc.models.duplicate import duplicate
from lmc.models.modes import evaluating

_STORED = (InputKind.PARAMETER, InputKind.BUFFER)


@dataclass(frozen=True)
class Graph:
    """A traced network, for inputs of one shape.

    Attributes:
        program: of torch.export.
        names: of the state's tensors in the graph, by the name of the node.
    """

    program: torch.export.ExportedProgram
    names: Mapping[str, str]

    @property
    def nodes(self) -> list[fx.Node]:
        """Every node in order, inputs first."""
        return list(self.program.graph.nodes)

    def run(self, state: Mapping[str, Tensor], inputs: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """The tensors at some nodes.

        Args:
            state: name to (*shape), of one run.
            inputs: (B, *input_shape), B as traced; left as it is.

        Raises:
            KeyError: the graph has no such node.
        """
        reader = _Reader(self.program.graph_module, wanted)
        reader.run(*self._arguments(state, inputs))
        return {name: reader.seen[name] for name in wanted}

    def _arguments(self, state: Mapping[str, Tensor], inputs: Tensor) -> list[Any]:
        found: list[Any] = []
        for spec in self.program.graph_signature.input_specs:
            if spec.kind == InputKind.USER_INPUT:
                found.append(inputs.clone())
            elif spec.target in state:
                found.append(state[spec.target])
            elif spec.target in self.program.constants:
                found.append(self.program.constants[spec.target])
            else:
                found.append(self.program.state_dict[spec.target])
        return found


class _Reader(fx.Interpreter):
    """Runs a graph and keeps what is wanted as it was made, before anything changes it in place."""

    def __init__(self, module: fx.GraphModule, wanted: Collection[str]) -> None:
        super().__init__(module)
        self.wanted, self.seen = wanted, dict[str, Tensor]()

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.wanted:
            self.seen[n.name] = value.clone()
        return value


_TRACED: WeakKeyDictionary[nn.Module, dict[Any, Graph]] = WeakKeyDictionary()


def graph(module: nn.Module, inputs: Tensor) -> Graph:
    """The graph of a network in evaluation mode for inputs (B, *input_shape); traced once a shape.

    Traced in float32 and outside of any dispatch mode, as where the groups are found; it runs in any type.

    Raises:
        Exception: whatever torch.export raises where the code cannot be traced.
    """
    known = _TRACED.setdefault(module, {})
    key = (tuple(inputs.shape), inputs.device)
    if key not in known:
        with _disable_current_modes(), warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")  # of attributes that recurrent layers set while they are traced
            example = inputs.float() if inputs.is_floating_point() else inputs.clone()
            with evaluating(copied := duplicate(module).float(), gradients=True):
                program = torch.export.export(copied, (example,), strict=False)
        known[key] = Graph(
            program,
            {
                spec.arg.name: str(spec.target)
                for spec in program.graph_signature.input_specs
                if spec.kind in _STORED and hasattr(spec.arg, "name")
            },
        )
    return known[key]
