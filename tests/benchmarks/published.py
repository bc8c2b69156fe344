"""The published MNIST MLP (THEORY 1) with its data, for the benchmarks and the processes they start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from lmc import data as datasets
from lmc import models, variants
from lmc.models.stack import stack_states, state_of, unstack
from lmc.training import Fit, Recipe, Trainee, batch_loss, orders

MNIST = Path(
    os.environ.get("LMC_BENCH_MNIST", Path(__file__).parents[2].parent / "shared" / "data" / "mnist")
)
BATCH, LEARNING_RATE, WEIGHT_DECAY = 64, 1e-3, 0.01
NUM_FIXED = [64, 64, 64, 256]
TASK = datasets.TASKS["cross_entropy"]


@dataclass(frozen=True)
class Data:
    """Images (N, 1, 28, 28) and labels: 54,000 to train on, 70,000 in all."""

    source: str
    inputs: torch.Tensor
    targets: torch.Tensor
    train: int = 54_000


def data() -> Data:
    """MNIST from a folder of its parquet files where there is one, else noise of its shape."""
    if MNIST.is_dir():
        found = datasets.load("mnist", path=str(MNIST))
        splits = (found.train, found.val, found.test)
        images, labels = (
            torch.cat([getattr(part, name) for part in splits]) for name in ("inputs", "targets")
        )
        return Data("MNIST", images, labels, len(found.train))
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (70_000,), generator=draw)
    means = torch.randn(10, 1, 28, 28, generator=draw)
    return Data(
        "synthetic data of MNIST's shape",
        means[labels] + torch.randn(70_000, 1, 28, 28, generator=draw),
        labels,
    )


def network(seed: int = 0) -> torch.nn.Module:
    """784-512-512-512-10, GELU, LayerNorm."""
    settings = {"hidden": [512, 512, 512], "activation": "gelu", "norm": "layer"}
    return models.build("mlp", settings, {"input_shape": (1, 28, 28), "outputs": 10}, seed)


def constraint() -> variants.Constraint:
    """Variant w, scale 1."""
    settings = {"num_fixed": NUM_FIXED, "scale": 1.0}
    return variants.build("w", settings, network(), 0, torch.zeros(1, 1, 28, 28))


def recipe(epochs: int = 1_000) -> Recipe:
    """AdamW as published."""
    return Recipe(epochs, BATCH, "adamw", LEARNING_RATE, WEIGHT_DECAY)


def fit(states, data: Data, fixed: variants.Constraint | None = None) -> tuple[Trainee, Fit]:
    """Training of several runs in one stack on the first ``data.train`` images."""
    runs = range(len(states))
    masks, centres = (
        {name: torch.stack([tensor.float() for _ in runs]) for name, tensor in tree.items()}
        for tree in ((fixed.masks, fixed.centres) if fixed else ({}, {}))
    )
    trainee = Trainee(network(), stack_states(states), masks, centres)
    trainee.module.train()
    loss = batch_loss(
        trainee, data.inputs[: data.train], data.targets[: data.train], TASK.losses, TASK.correct, list(runs)
    )
    return trainee, Fit(
        trainee.leaves, loss, orders(list(runs), data.train), recipe(), trainee.masks, trainee.centres
    )


def take_steps(training: Fit, count: int) -> None:
    """Go on for ``count`` steps."""
    left = iter(range(count))
    training.run(stopped=lambda: next(left, None) is None)


def trained_pair(data: Data, steps: int = 200):
    """Two standard runs after ``steps`` steps."""
    trainee, training = fit([state_of(network(seed)) for seed in (0, 1)], data)
    take_steps(training, steps)
    return [unstack(trainee.states(), run) for run in (0, 1)]
