"""From a trace's atoms to groups: where each set of neurons lies, who owns it, where to record it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, fx, nn

from lmc.models.stack import Feature, Point, aliases
from lmc.symmetry.atoms import Atom, Indices, Run
from lmc.symmetry.groups import Axis, Fixed, Group, Groups, Places
from lmc.symmetry.modules import (
    Call,
    Calls,
    Side,
    calls_of,
    is_activated,
    is_activation,
    is_norm,
    module_calls,
)
from lmc.symmetry.rules import is_elementwise
from lmc.symmetry.tracing import Trace, trace


@dataclass(frozen=True)
class _Neurons:
    """An atom, and the one whose blocks it permutes in; of the outer one alone, ``inner`` is None."""

    outer: Atom | None
    inner: Atom | None

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return tuple(atom for atom in (self.outer, self.inner) if atom is not None)

    @property
    def size(self) -> int:
        return math.prod(atom.size for atom in self.atoms)


def traced_groups(model: nn.Module, example_input: Tensor) -> Groups:
    """The groups that the network's operations leave free.

    Args:
        example_input: (B, *input_shape).

    Raises:
        LmcError: the model does not run on the input or cannot be traced.
    """
    found = trace(model, example_input)
    for name, used in aliases(model).items():
        if used in found.tensors:
            found.tensors[name] = found.tensors[used]
    builder = _Builder(model, found)
    return Groups(tuple(builder.groups()), tuple(builder.fixed()))


class _Builder:
    def __init__(self, model: nn.Module, found: Trace) -> None:
        self.model, self.trace, self.algebra = model, found, found.algebra
        self.calls: Calls = module_calls(found)
        self._settle()
        self.runs = {
            (name, axis): self.algebra.resolve(indices)
            for name, axes in found.tensors.items()
            for axis, indices in enumerate(axes)
        }

    def _settle(self) -> None:
        """Leave each atom at most one other that it depends on, in a form that a group can state."""
        changed = True
        self.algebra.respect_all()
        while changed:
            changed = False
            for axes in self.trace.tensors.values():
                self.algebra.respect(axes)
                for place, axis in enumerate(axes):
                    for run in self.algebra.resolve(axis):
                        for atom in run.atoms:
                            changed |= self._simplify(atom, run, place, axes)

    def _simplify(self, atom: Atom, run: Run, place: int, axes: list[Indices]) -> bool:
        if atom.fixed is None and run.atoms.count(atom) > 1:
            self.algebra.fix([atom], "it would move along itself on one axis")
            return True
        parents = self.algebra.parents(atom)
        if not parents:
            return False
        parent = next(iter(parents))
        siblings = [each for each in run.atoms if each is not atom and parent in self.algebra.parents(each)]
        fits = (
            len(parents) == 1
            and atom.size > 1
            and parent.fixed is None
            and parent.size > 1
            and not self.algebra.parents(parent)
            and not siblings
            and (parent in run.atoms or self._within(parent, run, place, axes) is not None)
        )
        if not fits:
            for each in parents:
                self.algebra.forget(atom, each)
        return not fits

    def _within(self, parent: Atom, run: Run, place: int, axes: list[Indices]) -> int | None:
        """The other axis that a parent cuts into blocks, when this one is the blocks' inner axis alone."""
        if len(self.algebra.resolve(axes[place])) != 1 or len(run.terms) != 1:
            return None
        for other, axis in enumerate(axes):
            leading = {each.terms[:1] for each in self.algebra.resolve(axis)}
            if other != place and leading == {((parent, axis.size // parent.size),)}:
                return other
        return None

    def neurons(self) -> list[_Neurons]:
        """Every set that can move, in order of its first owner, else of its first tensor."""
        free: dict[_Neurons, None] = {}
        for runs in self.runs.values():
            for run in runs:
                for atom in run.atoms:
                    parents = self.algebra.parents(atom)
                    dependent = any(atom in self.algebra.parents(each) for each in run.atoms)
                    if atom.fixed is None and not dependent:
                        free[_Neurons(next(iter(parents), None), atom)] = None
        found = [each for each in free if each.size > 1 or self.owners(each)]
        nodes = {node: place for place, node in enumerate(self.trace.nodes)}
        order = {name: place for place, name in enumerate(self.model.state_dict())}

        def first(neurons: _Neurons) -> tuple[int, int]:
            tensors = [order[name] for name, _ in self._tensors(neurons)]
            owners = [nodes[node] for node in self.owners(neurons)]
            return min(owners, default=len(nodes)), min(tensors, default=0)

        return sorted(found, key=first)

    def _tensors(self, neurons: _Neurons) -> list[tuple[str, int]]:
        return [key for key, runs in self.runs.items() if any(self._lie(run, neurons) for run in runs)]

    def owners(self, neurons: _Neurons) -> list[fx.Node]:
        """The calls that compute the neurons from a weight, stored or itself computed from stored tensors."""
        uses = self.trace.uses
        products = [each for each in uses.products if each[0] not in self._constant]
        found = [
            node
            for node, weight, axis in [*uses.owners, *products]
            if self._has(node, axis, neurons) and self._stored(weight, neurons)
        ]
        return list(dict.fromkeys(found))

    def _stored(self, weight: fx.Node, neurons: _Neurons) -> list[str]:
        """The stored tensors with the neurons that a weight is or is computed from."""
        if weight in self.trace.names:
            return [self.trace.names[weight]]
        sources = {weight: None} if weight in self._constant else {}
        for node in (waiting := [*sources]):
            new = [each for each in node.all_input_nodes if each not in sources]
            sources.update(dict.fromkeys(new))
            waiting += new
        own = {name for name, _ in self._tensors(neurons)}
        return [self.trace.names[each] for each in sources if self.trace.names.get(each) in own]

    def _has(self, node: fx.Node, axis: int, neurons: _Neurons) -> bool:
        runs = self._runs(self.trace.axes[node][axis])
        return any(self._lie(run, neurons) for run in runs)

    def _runs(self, axis: Indices) -> list[Run]:
        return [run for run, _ in self.algebra.opened(axis, settle=False)]

    def _lie(self, run: Run, neurons: _Neurons) -> bool:
        """Whether neurons lie in a run; blocks alone do not where something in them moves along."""
        if neurons.outer is None and any(neurons.inner in self.algebra.parents(atom) for atom in run.atoms):
            return False
        return {*neurons.atoms} <= {*run.atoms}

    def _places(self, runs: list[Run], neurons: _Neurons) -> Places | None:
        """(copies, n): where on an axis the neurons lie; None where they do not."""
        found = []
        for run in runs:
            if self._lie(run, neurons):
                rest = [term for term in run.terms if term[0] not in neurons.atoms]
                strides = dict(run.terms)
                own = [(atom, strides[atom]) for atom in neurons.atoms]
                grid = run.offset + _coordinates(rest)[:, None] + _coordinates(own)
                found += grid.tolist()
        return tuple(map(tuple, found)) or None

    def groups(self) -> Iterator[Group]:
        """One for each set of neurons."""
        wanted = self.neurons()
        blocks = [each.outer for each in wanted if each.outer is not None]
        taken: set[str] = set()
        family: dict[Atom, str] = {}
        for neurons in wanted:
            layers = list(dict.fromkeys(self._weight_module(node, neurons) for node in self.owners(neurons)))
            name = (layers or [self._tensors(neurons)[0][0].rpartition(".")[0] or "parameters"])[0]
            name = next(each for each in _names(name) if each not in taken)
            taken.add(name)
            outer = neurons.outer or (neurons.inner if neurons.inner in blocks else None)
            yield Group(
                name,
                neurons.size,
                tuple(self._axes(neurons)),
                tuple(layers),
                self._points(neurons),
                blocks=1 if outer is None else outer.size,
                family="" if outer is None else family.setdefault(outer, name),
            )

    def _weight_module(self, node: fx.Node, neurons: _Neurons) -> str:
        """Whose weight it is: of one that is computed, the module that computes with it."""
        uses = self.trace.uses
        weights = [weight for own, weight, _ in (*uses.owners, *uses.products) if own is node]
        weight, name = next((each, names[0]) for each in weights if (names := self._stored(each, neurons)))
        call = self.calls.innermost(node)
        if call and weight not in self.trace.names and name.startswith(f"{call[0]}."):
            return call[0]
        return name.rpartition(".")[0] or name

    def _axes(self, neurons: _Neurons) -> Iterator[Axis]:
        for (name, axis), runs in self.runs.items():
            places = self._places(runs, neurons)
            if places is not None:
                yield Axis(name, axis, _unless_whole(places, runs))
            elif neurons.outer is not None and runs == Indices.of(neurons.atoms[1]).runs:
                within = self._within(neurons.outer, runs[0], axis, self.trace.tensors[name])
                if within is not None:
                    yield Axis(name, axis, None, within)

    def _points(self, neurons: _Neurons) -> dict[str, tuple[Feature, ...]]:
        """Where to record: linear and norm fall back on what comes before, activation on what is read.

        Where no module is given or gives the neurons, tensors inside of modules are recorded.
        """
        made = self._unique((self.calls.innermost(node), node, "output") for node in self.owners(neurons))
        linear = self._features(made, neurons)
        norms = self._features(self._norms, neurons)
        active = self._features(self._activations, neurons)
        if not active:
            reads: list[tuple[Call | None, fx.Node, Side]] = [
                (self.calls.innermost(node), source, "input")
                for node, source, _ in self.trace.uses.readers
                if isinstance(source, fx.Node) and source in self.trace.axes
            ]
            active = self._features(self._unique(reads), neurons)
        active = active or self._inside(neurons, is_activated) or norms or linear
        active = active or self._inside(neurons, self._is_read) or self._inside(neurons)
        linear = linear or self._inside(neurons)[:1] or active
        return {"linear": linear, "norm": norms or linear, "activation": active}

    def _inside(
        self, neurons: _Neurons, wanted: Callable[[fx.Node], bool] = lambda _: True
    ) -> tuple[Feature, ...]:
        """Tensors of the graph that depend on the inputs, where the neurons lie on an axis of their own."""
        return self._features(
            {
                node: Point(self._module(node), "inside", node=node.name)
                for node in self.trace.nodes
                if node not in self._constant and self._shows(node, neurons) and wanted(node)
            },
            neurons,
        )

    def _is_read(self, node: fx.Node) -> bool:
        """Whether an operation contracts a tensor with others, as a matrix product does."""
        return any(
            user in self.trace.axes and len(user.all_input_nodes) > 1 and not is_elementwise(user.target)
            for user in node.users
        )

    def _shows(self, node: fx.Node, neurons: _Neurons) -> bool:
        axes = self.trace.axes[node]
        if not axes or not isinstance(axes[0], Indices):
            return False
        there = {atom for axis in axes for run in self._runs(axis) for atom in run.atoms}
        if any(atom.pieces is not None for atom in there):
            return False
        along = {atom for atom in there - {*neurons.atoms} if {*neurons.atoms} & self.algebra.parents(atom)}
        return not along and any(self._has(node, axis, neurons) for axis in range(len(axes)))

    @cached_property
    def _constant(self) -> set[fx.Node]:
        return {*self.trace.constant()}

    def _module(self, node: fx.Node) -> str:
        call = self.calls.innermost(node)
        return call[0] if call else ""

    @cached_property
    def _norms(self) -> dict[fx.Node, Point]:
        return self._modules(is_norm)

    @cached_property
    def _activations(self) -> dict[fx.Node, Point]:
        return self._modules(is_activation)

    def _modules(self, kind: Callable[[nn.Module], bool]) -> dict[fx.Node, Point]:
        own = {name for name, part in self.model.named_modules(remove_duplicate=False) if name and kind(part)}
        found: list[tuple[Call | None, fx.Node, Side]] = [
            (call, node, "output") for call, node in self.calls.last.items() if call[0] in own
        ]
        return self._unique(found)

    def _unique(self, found: Iterable[tuple[Call | None, fx.Node, Side]]) -> dict[fx.Node, Point]:
        points: dict[fx.Node, Point] = {}
        for call, node, side in found:
            if call is None or not self._at(call, node, side):
                continue
            if self.trace.shapes.get((*call, side)) == tuple(node.meta["val"].shape):
                points.setdefault(node, self.calls.point(call, side))
        return points

    def _at(self, call: Call, node: fx.Node, side: Side) -> bool:
        """Whether a tensor is what a call is given, or gives; its shape is compared besides."""
        return self.calls.gives(call, node) if side == "output" else call not in calls_of(node)

    def _features(self, points: Mapping[fx.Node, Point], neurons: _Neurons) -> tuple[Feature, ...]:
        """The neurons at points: not on the first axis, of samples, where a module takes or gives them."""
        found = []
        for node, point in points.items():
            axes = self.trace.axes[node]
            if not axes or not isinstance(axes[0], Indices):
                continue
            for axis in range(len(axes) - 1, -1 if point.side == "inside" else 0, -1):
                runs = self._runs(axes[axis])
                places = self._places(runs, neurons)
                if places is not None:
                    found.append(Feature(point, axis, _unless_whole(places, runs)))
                    break
        return tuple(found)

    def fixed(self) -> Iterator[Fixed]:
        """Axes on which no entry moves."""
        for (name, axis), runs in self.runs.items():
            reasons = [atom.fixed for run in runs for atom in run.atoms if atom.size > 1]
            if reasons and None not in reasons:
                yield Fixed(name, axis, str(reasons[0]))


def _coordinates(terms: Iterable[tuple[Atom, int]]) -> Tensor:
    """Where the products of atoms lie, row-major from 0."""
    found = torch.zeros(1, dtype=torch.int64)
    for atom, step in terms:
        found = (found[:, None] + torch.arange(atom.size) * step).flatten()
    return found


def _unless_whole(places: Places, runs: list[Run]) -> Places | None:
    """None stands for a whole axis in order."""
    return None if places == (tuple(range(Indices(runs).size)),) else places


def _names(name: str) -> Iterator[str]:
    yield name
    for count in itertools.count(2):
        yield f"{name}#{count}"
