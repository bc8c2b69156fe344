"""ResNet-20 (width 1) on images of CIFAR-10's shape: training steps, symmetry, and matching in one pass.

Run as a program with a number of images, it prints the memory that matching takes beyond data and networks.
"""

from __future__ import annotations

import sys
from itertools import islice

import memory
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lmc import models, symmetry
from lmc.data import TASKS
from lmc.data.augmentation import CropAndFlip
from lmc.matching.assignment import match_activations
from lmc.matching.similarity import pearson
from lmc.models.stack import stack_states, state_of, unstack
from lmc.recording import record
from lmc.training import Fit, Recipe, Trainee, batch_loss, orders

SHAPE, BATCH, STEPS, IMAGES = (3, 32, 32), 128, 4, 4_096
RATE, DECAY = 1e-3, 0.01
TASK = TASKS["cross_entropy"]


def network(seed=0):
    settings = {"width": 1, "norm": "group"}
    return models.build("resnet20", settings, {"input_shape": SHAPE, "outputs": 10, "graph": None}, seed)


@pytest.fixture(scope="module")
def images():
    draw = torch.Generator().manual_seed(0)
    return torch.randn(IMAGES, *SHAPE, generator=draw), torch.randint(10, (IMAGES,), generator=draw)


class Augmented(Dataset):
    """One image at a time, cropped and flipped, the way of published code."""

    def __init__(self, inputs, targets, augment):
        self.inputs, self.targets, self.augment = inputs, targets, augment

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        image = self.inputs[index]
        if self.augment:
            padded = nn.functional.pad(image, (4, 4, 4, 4))
            top, left = torch.randint(9, (2,)).tolist()
            image = padded[:, top : top + 32, left : left + 32]
            image = image.flip(2) if torch.rand(()) < 0.5 else image
        return image, self.targets[index]


def ours(images, seeds, augment, stack=None):
    """Training of runs, one at a time or stacked: a function that takes steps of all of them."""
    inputs, targets = images
    groups = [seeds] if stack else [[seed] for seed in seeds]
    fits = []
    for group in groups:
        trainee = Trainee(network(), stack_states([state_of(network(seed)) for seed in group]))
        trainee.module.train()
        crop = CropAndFlip(torch.zeros(3, 1, 1)) if augment else None
        loss = batch_loss(trainee, inputs, targets, TASK.losses, TASK.correct, group, crop)
        recipe = Recipe(1_000, BATCH, "adamw", RATE, DECAY)
        fits.append((trainee, Fit(trainee.leaves, loss, orders(group, len(inputs)), recipe)))

    def steps(count=STEPS):
        for _, fit in fits:
            left = iter(range(count))
            fit.run(stopped=lambda left=left: next(left, None) is None)

    return steps, fits


def plain(images, seeds, augment):
    """A DataLoader and a model at a time, torch's AdamW."""
    loader = DataLoader(Augmented(*images, augment), batch_size=BATCH, shuffle=True)
    members = []
    for seed in seeds:
        model = network(seed).train()
        members.append((model, torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)))

    def steps(count=STEPS):
        for model, optimiser in members:
            for x, y in islice(loader, count):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimiser.step()

    return steps


def test_same_numbers(images, benchmark):
    """Channels last, alone: torch's own AdamW on the same batches."""
    steps, [(trainee, fit)] = ours(images, [1], augment=False)
    order = fit.orders(0)[0]
    benchmark.pedantic(steps, (3,), rounds=1)
    model = network(1).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    for step in range(3):
        rows = order[BATCH * step : BATCH * (step + 1)]
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[0][rows]), images[1][rows]).backward()
        optimiser.step()
    found = unstack(trainee.states(), 0)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=2e-3, msg=name)


@pytest.mark.parametrize("augment", [False, True], ids=["as they are", "cropped and flipped"])
def test_training(images, compare, augment):
    """STEPS steps of two runs."""
    steps, _ = ours(images, [0, 1], augment)
    which = "cropped and flipped" if augment else "no augmentation"
    compare(f"ResNet-20 steps, {which}", steps, {"plain loop": plain(images, [0, 1], augment)})


def test_stacked(images, compare):
    """What vmap would make of convolutions on this device."""
    alone, _ = ours(images, [0, 1], augment=False)
    stacked, _ = ours(images, [0, 1], augment=False, stack=True)
    compare("ResNet-20 steps, one run at a time", alone, {"stacked": stacked})


def test_symmetry(benchmark, note):
    """Trace and prove."""
    example = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))

    def found():
        model = network().eval()
        groups = symmetry.permutation_groups(model, example)
        symmetry.verify(model, groups, example)
        return groups

    groups = benchmark.pedantic(found, rounds=3, warmup_rounds=1)
    note(f"symmetry of ResNet-20: {len(groups)} groups traced and verified")


def matched(images):
    """Every group of two networks matched by activations, all recorded in one pass."""
    model, example = network().eval(), images[:2]
    groups = symmetry.permutation_groups(model, example)
    features = [feature for group in groups for feature in group.points["activation"]]
    states = stack_states([state_of(network(seed)) for seed in (0, 1)])
    moments = record(model, states, images, {feature: [(0, 1)] for feature in features})
    found = {}
    for group in groups:
        similar = [pearson(moments[feature], 0, 1) for feature in group.points["activation"]]
        found[group.name] = match_activations(torch.stack(similar).mean(dim=0))
    return found


def test_matching_memory(benchmark, compare_sizes, note):
    """Four times the images: the same memory."""
    note("ResNet-20 matching: 12 groups, 2 runs; memory at 1,024 images (left) and at 4,096 (right)")
    peaks = {1_024: [], 4_096: []}

    def measure():
        for count, found in peaks.items():
            found.append(memory.child(__file__, str(count))["extra"])

    benchmark.pedantic(measure, rounds=3)
    compare_sizes("ResNet-20 matching, extra memory", *peaks.values())


if __name__ == "__main__":
    # The largest set is made whatever the number, so that its share of memory is the same.
    drawn = torch.randn(IMAGES, *SHAPE, generator=torch.Generator().manual_seed(0))
    memory.report(lambda: matched(drawn[: int(sys.argv[1])]))
