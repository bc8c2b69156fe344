"""What ``lmc dynamics`` measures of a course: rows of the table, a list an epoch (THEORY 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn

from lmc import dynamics, symmetry
from lmc.core.errors import LmcError, SettingError
from lmc.core.seeds import generator
from lmc.data import Split
from lmc.dynamics import WHOLE
from lmc.jobs.measuring.course import Course, Row
from lmc.jobs.protocol.machine import readable_size
from lmc.models.stack import Point, stack_of_one, stack_states
from lmc.recording import linear_maps, record
from lmc.recording.moments import Source

NO_SPLIT = "-"
_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


def update_rows(course: Course) -> Iterator[list[Row]]:
    """``update_cosine`` of every pair, epoch by epoch."""
    names = course.layers[WHOLE]
    for earlier, later in pairwise(course.epochs):
        both = zip(course.states(earlier), course.states(later), strict=True)
        moved = [dynamics.updates(before, after, names) for before, after in both]
        rows = []
        for a, b, row in course.between(later, measure="update_cosine", split=NO_SPLIT, since=earlier):
            for layer, value in dynamics.cosines(moved[a], moved[b], course.layers).items():
                rows.append({**row, "layer": layer, "value": value})
        yield rows


def distance_rows(course: Course) -> Iterator[list[Row]]:
    """``distance`` of every pair at every epoch, and of every run from its first."""
    first = course.epochs[0]
    for epoch in course.epochs:
        rows = []
        start, states = course.states(first), course.states(epoch)
        compared = [(states[a], states[b], row) for a, b, row in course.between(epoch)]
        if epoch != first:
            compared += [(start[run], states[run], row) for run, row in course.over(first, epoch)]
        for one, other, row in compared:
            for layer, value in dynamics.distances(one, other, course.layers).items():
                rows.append({**row, "measure": "distance", "split": NO_SPLIT, "layer": layer, "value": value})
        yield rows


def agreement_rows(course: Course, splits: Sequence[str]) -> Iterator[list[Row]]:
    """``agreement`` of every pair on every split that has samples."""
    correct = course.pairs.dataset.task.correct
    for epoch in course.epochs:
        stacked = stack_states(course.states(epoch))
        rows = []
        for name in splits:
            part = course.split(name)
            found = dynamics.agreement(
                course.network, stacked, part.inputs, part.targets, correct, course.pairs.pairs
            )
            for a, b, row in course.between(epoch, measure="agreement", split=name, layer=WHOLE):
                rows.append({**row, "value": found[a, b]})
        yield rows


def linearisation_rows(course: Course, splits: Sequence[str], samples: int) -> Iterator[list[Row]]:
    """``linearisation_agreement`` and ``linearisation_error`` of runs, from first and previous epoch."""
    correct = course.pairs.dataset.task.correct
    chosen = {name: _sample(course.split(name), samples, name) for name in splits}
    for previous, epoch in pairwise(course.epochs):
        rows = []
        for base in dict.fromkeys((course.epochs[0], previous)):
            starts, states = course.states(base), course.states(epoch)
            for run, row in course.over(base, epoch, layer=WHOLE):
                for name, part in chosen.items():
                    found = dynamics.linearisation(
                        course.network, starts[run], states[run], part.inputs, part.targets, correct
                    )
                    for measure in ("agreement", "error"):
                        value = getattr(found, measure)
                        rows.append(
                            {**row, "measure": f"linearisation_{measure}", "split": name, "value": value}
                        )
        yield rows


def _sample(split: Split, count: int, name: str) -> Split:
    chosen = torch.randperm(len(split), generator=generator("linearisation", name))[:count]
    return Split(split.inputs[chosen], split.targets[chosen])


def recording_points(course: Course) -> dict[str, Source]:
    """Where a layer's representation is recorded: after its own activation, else at its output."""
    maps = linear_maps(course.network, course.pairs.dataset.train.inputs)
    points: dict[str, Source] = {
        name: Point(name, "output")
        for name, part in course.network.named_modules()
        if name in course.layers and isinstance(part, _WEIGHTED) and name in maps.called
    }
    tensors = {name for layer, names in course.layers.items() if layer != WHOLE for name in names}
    points |= {
        layer.name: layer.made
        for layer in maps.found.values()
        if layer.weight in tensors and not layer.module
    }
    try:
        example = course.pairs.dataset.train.inputs[:4].to(course.device)
        groups = list(symmetry.permutation_groups(course.network, example))
    except LmcError:
        return points
    for group in groups:
        own = group.points.get("activation", ())
        if len(group.layers) == 1 and group.layers[0] in points and len(own) == 1:
            points[group.layers[0]] = own[0]
    return points


def unrecorded(course: Course) -> list[str]:
    """Weights that multiply the inputs, or belong to a layer, whose outputs ``recording_points`` lacks."""
    maps = linear_maps(course.network, course.pairs.dataset.train.inputs)
    points = recording_points(course)
    return [name for name in maps.unmeasured if name.rpartition(".")[0] not in points]


def cka_epochs(course: Course, memory: float) -> int:
    """Epochs at a time whose covariances fit into ``memory`` bytes.

    Raises:
        SettingError: not even one, beside the last.
    """
    points = dict.fromkeys(recording_points(course).values(), ())
    if not points:
        return len(course.epochs)
    one = stack_of_one(course.states(course.epochs[-1])[0])
    narrow = record(course.network, one, course.pairs.dataset.train.inputs[:2], points)
    squares = sum(moments.mean.shape[1] ** 2 for moments in narrow.values())
    runs, weights = len(course.pairs.runs), sum(tensor.nbytes for tensor in one.values())
    an_epoch = 8 * squares * (2 * runs + len(course.pairs.pairs)) + 2 * runs * weights
    if 2 * an_epoch > memory:
        raise SettingError(
            f"measures=cka: covariances of {readable_size(2 * an_epoch)}, "
            f"{readable_size(memory)} may be used",
            "layers= names fewer layers, measures= leaves it out",
        )
    return int(memory // an_epoch) - 1


def cka_rows(course: Course, memory: float) -> Iterator[list[Row]]:
    """``cka`` of every pair at every epoch, and of every run with its last: layer by layer, train split.

    As many epochs at a time as fit into ``memory`` bytes; one list an epoch.
    """
    points, step = recording_points(course), cka_epochs(course, memory)
    if not points:
        yield from ([] for _ in course.epochs)
        return
    for start in range(0, len(course.epochs), step):
        yield from _cka(course, points, course.epochs[start : start + step], course.epochs[-1])


def _cka(course: Course, points: Mapping[str, Source], epochs: list[int], last: int) -> Iterator[list[Row]]:
    runs, pairs = len(course.pairs.runs), course.pairs.pairs
    place = {epoch: index * runs for index, epoch in enumerate(dict.fromkeys((*epochs, last)))}
    stacked = stack_states([state for epoch in place for state in course.states(epoch)])
    own = [(k, k) for k in range(len(place) * runs)]
    crossed = [(place[epoch] + a, place[epoch] + b) for epoch in epochs for a, b in pairs]
    ahead = [(place[epoch] + k, place[last] + k) for epoch in epochs if epoch != last for k in range(runs)]
    wanted = [*own, *crossed, *ahead]
    moments = record(
        course.network,
        stacked,
        course.pairs.dataset.train.inputs,
        {point: wanted for point in points.values()},
    )
    for epoch in epochs:
        rows = []
        compared = [(place[epoch] + a, place[epoch] + b, row) for a, b, row in course.between(epoch)]
        if epoch != last:
            compared += [
                (place[epoch] + run, place[last] + run, row) for run, row in course.over(epoch, last)
            ]
        for a, b, row in compared:
            for layer, point in points.items():
                value = dynamics.cka(moments[point], a, b)
                rows.append({**row, "measure": "cka", "split": "train", "layer": layer, "value": value})
        yield rows
