"""A few runs to train: their networks, constraints and loop."""

from __future__ import annotations

import dataclasses

import pytest


@dataclasses.dataclass
class Training:
    fit: object
    trainee: object
    inputs: object
    targets: object


@pytest.fixture
def start(pico, samples, task):
    """Begins training of seeds on 21 samples; ``variant`` fixes weights, recipe keywords follow."""
    import torch

    from lmc import variants
    from lmc.models.stack import stack_states, state_of
    from lmc.training import Fit, Recipe, Trainee, batch_loss, orders

    def begin(
        seeds, variant=None, net=None, shape=(2, 3), count=21, states=None, model=None, augment=None, **recipe
    ):
        inputs, targets = samples(count, shape)
        build = net or (lambda seed: pico(seed, **(model or {})))
        module = build(0).train()
        constraint = variants.Constraint()
        if variant:
            name, settings = variant
            constraint = variants.build(name, settings, module, 1, inputs[:2])
        states = states or [constraint.effective(state_of(build(seed))) for seed in seeds]
        repeat = lambda tree: {name: torch.stack([value] * len(seeds)) for name, value in tree.items()}  # noqa: E731
        trainee = Trainee(module, stack_states(states), repeat(constraint.masks), repeat(constraint.centres))
        loss = batch_loss(trainee, inputs, targets, task.losses, task.correct, seeds, augment)
        recipe = {"epochs": 3, "batch_size": 4, "learning_rate": 0.02, "weight_decay": 0.3, **recipe}
        fit = Fit(
            trainee.leaves, loss, orders(seeds, count), Recipe(**recipe), trainee.masks, trainee.centres
        )
        return Training(fit, trainee, inputs, targets)

    return begin
