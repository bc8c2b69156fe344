"""Activation matching of the MNIST MLP's hidden layers: streamed moments against whole activation matrices.

Run as a program with the name of a way, it prints the memory that way takes beyond data and networks.
"""

from __future__ import annotations

import sys

import memory
import published
import torch
from scipy.optimize import linear_sum_assignment
from torch.utils.data import DataLoader, TensorDataset

from lmc.matching import match_activations
from lmc.matching.similarity import pearson
from lmc.models.stack import Point, stack_states
from lmc.recording import record

LAYERS = [f"activations.{i}" for i in range(3)]
BATCH = 1_000


def streamed(inputs, pair):
    """lmc: one pass over both runs."""
    points = {Point(layer, "output"): [(0, 1)] for layer in LAYERS}
    moments = record(published.network(), stack_states(pair), inputs, points)
    similarities = [pearson(moments[point], 0, 1) for point in points]
    return similarities, [match_activations(similarity) for similarity in similarities]


@torch.no_grad()
def whole(inputs, pair):
    """Hooks over a DataLoader, concatenated, correlated in float64."""
    recorded = []
    for state in pair:
        model = published.network().eval()
        model.load_state_dict(state)
        seen = {layer: [] for layer in LAYERS}
        for layer, outputs in seen.items():
            model.get_submodule(layer).register_forward_hook(
                lambda _module, _inputs, output, outputs=outputs: outputs.append(output)
            )
        for (x,) in DataLoader(TensorDataset(inputs), batch_size=BATCH):
            model(x)
        recorded.append({layer: torch.cat(seen.pop(layer)) for layer in LAYERS})
    similarities = []
    for layer in LAYERS:
        scaled = []
        for run in recorded:
            x = run[layer].double()
            x -= x.mean(dim=0)
            deviation = x.std(dim=0, correction=0)
            x /= torch.where(deviation > 0, deviation, torch.ones(()))
            scaled.append(x)
        similarities.append(scaled[0].T @ scaled[1] / len(inputs))
    permutations = [
        torch.from_numpy(linear_sum_assignment(similarity.numpy(), maximize=True)[1])
        for similarity in similarities
    ]
    return similarities, permutations


WAYS = {"lmc": streamed, "plain": whole}


def test_matching(data, pair, compare, note):
    note(
        f"matching: 3 layers of 512, 2 runs, {data.train:,} images, {data.source}; plain batches of {BATCH:,}"
    )
    inputs = data.inputs[: data.train]
    (ours, mine), (theirs, other) = (way(inputs, pair) for way in WAYS.values())
    for a, b, p, q in zip(ours, theirs, mine, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
        total = [float(b[torch.arange(512), permutation].sum()) for permutation in (p, q)]
        assert abs(total[0] - total[1]) < 1e-2
        assert (p == q).float().mean() > 0.99
    compare(
        "matching", lambda: streamed(inputs, pair), {"whole activation matrices": lambda: whole(inputs, pair)}
    )


def test_matching_memory(data, benchmark, compare_sizes, note):
    """Peak resident memory of a process of its own, beyond what data and networks take."""
    note("memory: peak resident set of a child process beyond interpreter, data and networks")
    peaks = {way: [] for way in WAYS}

    def measure():
        for way, found in peaks.items():
            found.append(memory.child(__file__, way))

    benchmark.pedantic(measure, rounds=3)
    extra, total = (
        {way: [peak[key] for peak in found] for way, found in peaks.items()} for key in ("extra", "total")
    )
    compare_sizes("matching, extra memory", extra["lmc"], extra["plain"])
    compare_sizes("matching, whole process", total["lmc"], total["plain"])


def main(way):
    found = published.data()
    pair = published.trained_pair(found, steps=5)
    inputs = found.inputs[: found.train]
    memory.report(lambda: WAYS[way](inputs, pair))


if __name__ == "__main__":
    main(sys.argv[1])
