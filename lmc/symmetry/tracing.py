"""A network as a graph of ATen operations, and what each means for the axes of all tensors.

``torch.export`` keeps layers, norms and attention whole, so that a few families of operations cover the
usual architectures. Nothing is guessed: an operation without a rule fixes all axes that it touches, and
is reported.
"""

from __future__ import annotations

import logging
import os
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn

from lmc.core.errors import LmcError
from lmc.models.duplicate import duplicate
from lmc.models.modes import evaluating
from lmc.models.stack import aliases
from lmc.symmetry.algebra import Algebra
from lmc.symmetry.atoms import Axes
from lmc.symmetry.computed_rules import COMPUTED
from lmc.symmetry.layer_rules import LAYERS
from lmc.symmetry.rules import VALUES, Operation, Uses, elementwise, is_elementwise, unknown
from lmc.symmetry.view_rules import VIEWS

RULES = {**VALUES, **VIEWS, **LAYERS, **COMPUTED}

Shapes = dict[tuple[str, int, str], tuple[int, ...]]


@dataclass
class Trace:
    """What was found of a network.

    Attributes:
        nodes: the graph's calls, in order.
        axes: of every tensor in the graph.
        tensors: the axes of each tensor of the state dict that the forward pass uses.
        names: of the state's tensors in the graph.
        inputs: the graph's inputs.
        shapes: of what each call of a module is given and gives, where these are tensors.
    """

    nodes: list[fx.Node]
    axes: dict[fx.Node, Any]
    tensors: dict[str, Axes]
    names: dict[fx.Node, str]
    inputs: list[fx.Node]
    output: fx.Node
    algebra: Algebra
    uses: Uses
    shapes: Shapes

    def constant(self) -> Iterator[fx.Node]:
        """Calls that depend on stored tensors only."""
        inputs: set[fx.Node] = {*self.inputs}
        for node in self.nodes:
            if any(each in inputs for each in node.all_input_nodes):
                inputs.add(node)
            else:
                yield node


def exported(model: nn.Module, example_input: Tensor) -> tuple[torch.export.ExportedProgram, Shapes]:
    """The graph of a model in evaluation, and the shapes of what its modules are given and give.

    Raises:
        LmcError: the model cannot be run on the input, or its code cannot be traced; what to do.
    """
    copied = duplicate(model).cpu().float().eval()
    example = example_input.detach().cpu().clone()
    example = example.float() if example.is_floating_point() else example
    try:
        shapes = _shapes(copied, example)
    except Exception as error:
        raise LmcError(
            f"{type(model).__name__} does not run on an input of shape {tuple(example.shape)}: {_line(error)}"
        ) from error
    try:
        with torch.enable_grad(), _quiet():
            return torch.export.export(copied, (example,), strict=False), shapes
    except Exception as error:
        raise LmcError(
            f"{type(model).__name__} cannot be traced{_place(error)}: {_line(error)}",
            "declare its groups in a method permutation_groups(), see help(lmc.symmetry.permutation_groups)",
        ) from error


def _shapes(model: nn.Module, example: Tensor) -> Shapes:
    found: Shapes = {}
    calls: dict[str, int] = {}

    def listen(name: str) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
            which = calls.get(name, 0)
            calls[name] = which + 1
            # With several tensors the shape alone would not tell which of them an operation reads.
            tensors = [each for each in (*args, *keywords.values()) if isinstance(each, Tensor)]
            given = tensors[0] if len(tensors) == 1 and args and args[0] is tensors[0] else None
            for side, value in (("input", given), ("output", output)):
                if isinstance(value, Tensor):
                    found[name, which, side] = tuple(value.shape)

        return hook

    with ExitStack() as context, evaluating(model):
        for name, part in model.named_modules():
            if name:
                context.enter_context(part.register_forward_hook(listen(name), with_kwargs=True))
        model(example)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from printing whole graphs when an export fails; the error message is enough."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            # Weights that a hook computes; what the network keeps of them is put back after the export.
            warnings.filterwarnings("ignore", "The tensor attribute", UserWarning)
            yield
    finally:
        logging.disable(before)


def _place(error: BaseException) -> str:
    """The last line of the model's own code, where there is one."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.name == "forward" and f"{os.sep}torch{os.sep}" not in frame.filename
    ]
    return f" at {own[-1].filename}:{own[-1].lineno} ({own[-1].line})" if own else ""


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


def trace(model: nn.Module, example_input: Tensor) -> Trace:
    """Follow the axes of all tensors through the network; ``example_input`` is (B, *input_shape)."""
    program, shapes = exported(model, example_input)
    algebra, uses = Algebra(), Uses()
    signature, graph = program.graph_signature, program.graph
    state = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    stored, tied = set(model.state_dict()), aliases(model)
    axes: dict[fx.Node, Any] = {}
    names: dict[fx.Node, str] = {}
    tensors: dict[str, Axes] = {}
    inputs, calls = [], []
    for node in graph.nodes:
        if node.op == "placeholder":
            value = node.meta.get("val")
            if not isinstance(value, Tensor):
                continue
            name = state.get(node.name)
            if name in stored:
                name = names[node] = tied.get(name, name)
                axes[node] = tensors.get(name) or [algebra.stored(size) for size in value.shape]
                if node.users:
                    tensors[name] = axes[node]
            else:
                what = "the inputs" if node.name in signature.user_inputs else "constants of the network"
                axes[node] = [algebra.axis(size, fixed=what) for size in value.shape]
                if node.name in signature.user_inputs:
                    inputs.append(node)
        elif node.op == "call_function":
            found = _apply(node, algebra, axes, uses)
            if found is not None:
                axes[node] = found
                calls.append(node)
        elif node.op == "output":
            for each in node.all_input_nodes:
                if each in axes:
                    algebra.fix_axes(axes[each], "the outputs")
    output = next(node for node in reversed(graph.nodes) if node.op == "output")
    return Trace(calls, axes, tensors, names, inputs, output, algebra, uses, shapes)


def _apply(node: fx.Node, algebra: Algebra, known: dict[fx.Node, Any], uses: Uses) -> Any:
    if getattr(node.target, "__name__", "") == "getitem":
        source, place = node.args
        whole = known.get(source) if isinstance(source, fx.Node) else None
        return None if whole is None else whole[place]
    value = node.meta.get("val")
    parts = value if isinstance(value, (tuple, list)) else (value,)
    if not any(isinstance(part, Tensor) for part in parts):
        return None
    if not hasattr(node.target, "_schema"):
        return unknown(_Bare(node, algebra, known, getattr(node.target, "__name__", str(node.target)), uses))
    name = node.target._schema.name.partition("::")[2]
    op = Operation(node, algebra, known, name, uses)
    rule = RULES.get(name) or RULES.get(name.rstrip("_"))
    if rule is None:
        rule = elementwise if is_elementwise(node.target) else unknown
    try:
        found = rule(op)
        fits = _fits(found, value)
    except (AssertionError, KeyError, IndexError, StopIteration, TypeError):
        fits = False
    if not fits:
        # A form of the call that the rule was not written for; fixing what it touches is sound.
        found = unknown(op)
    results: list[Any] = list(found) if isinstance(value, (tuple, list)) else [found]
    for part in results:
        if part is not None:
            algebra.see(part)
    return found


def _fits(found: Any, value: Any) -> bool:
    """Whether a rule's axes are those of the result."""
    if isinstance(value, (tuple, list)):
        return len(found) == len(value) and all(map(_fits, found, value))
    return found is None or [axis.size for axis in found] == list(value.shape)


class _Bare(Operation):
    """A call without a schema, such as a control-flow operation."""

    def __post_init__(self) -> None:
        self.arguments = {}
