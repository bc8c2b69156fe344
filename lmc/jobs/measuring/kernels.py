"""Tangent kernels of a course: which rows, in how much memory, and how alike they are (THEORY 6)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from lmc.core.errors import SettingError
from lmc.core.seeds import generator
from lmc.dynamics import WHOLE, Rows, kernel_alignment, kernel_distance, tangent_kernel
from lmc.dynamics.kernels import COPIES
from lmc.jobs.measuring.course import Course, Row
from lmc.jobs.protocol.machine import readable_size
from lmc.recording.evaluation import activation_size


@dataclass(frozen=True)
class KernelPlan:
    """The rows of a kernel, how many of them have their Jacobian in memory at once, and bytes in all."""

    rows: Rows
    most: int
    bytes: int

    def describe(self, parameters: int) -> str:
        """One line for people, before anything is computed."""
        count = len(self.rows.inputs)
        shape = f"{count} input{'s' if count != 1 else ''} x {len(self.rows.outputs)} outputs"
        parts = len(self.rows.blocks(self.most))
        several = f" in {parts} parts" if parts > 1 else ""
        return f"NTK: {shape}, {parameters} weights{several}: up to {readable_size(self.bytes)} of memory"


def plan_kernels(course: Course, samples: int, outputs: int, memory: float) -> KernelPlan:
    """A seeded sample of training inputs (a graph's nodes) and of outputs, cut to fit into memory.

    Args:
        memory: bytes that may be used.

    Raises:
        SettingError: the kernels, or the Jacobian of one input, do not fit; with a sample that does.
    """
    rows = draw_rows(course, samples, outputs)
    parameters = count_parameters(course)
    network, example = course.network, course.pairs.dataset.train.inputs[:2]
    item = next(network.parameters()).element_size()
    row = item * (COPIES * parameters + 2 * activation_size(network, example))
    kernels = 8 * (3 * len(course.pairs.runs) + 2)
    whole = len(rows.inputs) > 1
    least = len(rows.outputs) if whole else 1
    needed = kernels * len(rows) ** 2
    if needed + least * row > memory:
        raise SettingError(
            f"measures=ntk: {len(rows)} gradients of {parameters} weights take at least "
            f"{readable_size(needed + least * row)}, {readable_size(memory)} may be used",
            _that_fits(outputs, row, kernels, memory),
        )
    most = min(len(rows), int((memory - needed) // row))
    return KernelPlan(rows, most, needed + min(most, len(rows)) * row)


def _that_fits(outputs: int, row: int, kernels: int, memory: float) -> str:
    for count in range(outputs, 0, -1):
        left = memory - count * row
        fits = int(math.sqrt(left / kernels) / count) if left > 0 else 0
        if fits:
            fewer = f" ntk_outputs={count}" if count < outputs else ""
            return f"ntk_samples={fits}{fewer} fits; memory= allows more GB"
    return "memory= allows more GB, measures= leaves it out"


def draw_rows(course: Course, samples: int, outputs: int) -> Rows:
    """The same inputs and outputs for every run and epoch; fewer if there are fewer."""
    dataset = course.pairs.dataset
    classes = _some(dataset.outputs, outputs, "outputs")
    if dataset.graph is None:
        return Rows(dataset.train.inputs[_some(len(dataset.train), samples, "inputs")], classes)
    known = (dataset.train.targets[0] >= 0).nonzero().flatten()
    nodes = known[_some(len(known), samples, "inputs")]
    return Rows(dataset.train.inputs, (nodes[:, None] * dataset.outputs + classes).flatten())


def _some(there: int, count: int, purpose: str) -> torch.Tensor:
    return torch.randperm(there, generator=generator("ntk", purpose))[:count].sort().values


def count_parameters(course: Course) -> int:
    """The number of weights that a gradient has."""
    return sum(parameter.numel() for parameter in course.network.parameters())


def kernel_rows(course: Course, plan: KernelPlan) -> Iterator[list[Row]]:
    """``ntk_alignment`` and ``ntk_distance``: of pairs, and of runs with their first and previous epoch."""
    masks = [opened.constraint.masks for opened in course.pairs.runs]
    first: list[torch.Tensor] = []
    previous: tuple[int, list[torch.Tensor]] | None = None
    for epoch in course.epochs:
        kernels = [
            tangent_kernel(course.network, state, plan.rows, mask, plan.most)
            for state, mask in zip(course.states(epoch), masks, strict=True)
        ]
        compared = [(kernels[a], kernels[b], row) for a, b, row in course.between(epoch)]
        if previous is None:
            first = kernels
        else:
            for base, earlier in dict([(course.epochs[0], first), previous]).items():
                compared += [(earlier[run], kernels[run], row) for run, row in course.over(base, epoch)]
        rows: list[Row] = []
        for one, other, row in compared:
            about = {**row, "split": "train", "layer": WHOLE}
            rows.append({**about, "measure": "ntk_alignment", "value": kernel_alignment(one, other)})
            rows.append({**about, "measure": "ntk_distance", "value": kernel_distance(one, other)})
        previous = (epoch, kernels)
        yield rows
