"""The path of 25 points between two MNIST MLPs, against a state dict per alpha."""

from __future__ import annotations

import published
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lmc import paths

ALPHAS = [i / 24 for i in range(25)]
IMAGES, BATCH = 14_000, 1_000


def mixed(pair, alpha):
    first, second = pair
    return {name: (1 - alpha) * first[name] + alpha * second[name] for name in first}


@torch.no_grad()
def plain_path(model, pair, batches):
    """Loss and accuracy at every point; ``batches`` gives the data anew at each."""
    model.eval()
    losses, accuracies = [], []
    for alpha in ALPHAS:
        model.load_state_dict(mixed(pair, alpha))
        loss = correct = 0.0
        samples = 0
        for x, y in batches():
            outputs = model(x)
            loss += float(nn.functional.cross_entropy(outputs, y, reduction="sum"))
            correct += float((outputs.argmax(1) == y).sum())
            samples += len(x)
        losses.append(loss / samples)
        accuracies.append(correct / samples)
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(accuracies, dtype=torch.float64)


def test_path(data, pair, compare, note):
    """Every fifth of the 70,000 images: the same code on a fifth of the work."""
    note(
        f"path: {len(ALPHAS)} points, {IMAGES:,} of 70,000 images, {data.source}; plain batches of {BATCH:,}"
    )
    every = len(data.inputs) // IMAGES
    inputs, targets = data.inputs[::every].contiguous(), data.targets[::every].contiguous()
    model, task = published.network(), published.TASK
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=BATCH)

    def scan():
        splits = {"all": (inputs, targets)}
        return paths.scan(paths.Scene(model, *pair, ALPHAS, splits, task.losses, task.correct))["all"]

    def in_memory():
        return plain_path(model, pair, lambda: zip(inputs.split(BATCH), targets.split(BATCH)))

    def from_loader():
        return plain_path(model, pair, lambda: loader)

    loss, accuracy = scan()
    plain_loss, plain_accuracy = in_memory()
    torch.testing.assert_close(loss, plain_loss, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(accuracy, plain_accuracy, rtol=0, atol=2 / IMAGES)
    compare(
        "path",
        scan,
        {"state dict per alpha, DataLoader": from_loader, "state dict per alpha, in memory": in_memory},
    )
