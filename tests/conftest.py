"""Pico networks with values of their own in every tensor, and data that reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every machine and every day; a slow machine is no failure.
settings.register_profile("lmc", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("lmc")

SHAPE, OUTPUTS = (2, 3), 4


def _filled(module, seed):
    """Every floating tensor (norms, statistics, biases too) away from its usual start."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=draw, dtype=torch.float64).to(tensor.dtype)
            tensor.copy_(noise * 2 - 1 if name.endswith(("weight", "mean", "mixing")) else noise + 0.3)
    return module


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Pico tensors gain nothing from threads, and sums do not depend on their number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def fill():
    """Gives every tensor of a module values from a seed."""
    return _filled


@pytest.fixture(scope="session")
def pico(fill):
    """Builds a 6-7-5-4 MLP; keywords are the MLP's, ``seed`` fills it."""
    from lmc import models
    from lmc.core import registry

    def build(seed=0, **keywords):
        bound = registry.bind(models.MODELS["mlp"], {"hidden": [7, 5], **keywords}, given=models.GIVEN)
        return fill(models.build("mlp", bound, {"input_shape": SHAPE, "outputs": OUTPUTS}, seed), seed)

    return build


@pytest.fixture(scope="session")
def pico_states(pico):
    """K state dicts of a pico MLP."""
    from lmc.models.stack import state_of

    return lambda runs, **keywords: [state_of(pico(seed, **keywords)) for seed in range(runs)]


@pytest.fixture(scope="session")
def conv_net(fill):
    """A tiny convolutional network of a user's own: no ``permutation_groups``, no lmc classes."""
    import torch
    from torch import nn

    def build(seed=0, norm=False):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            middle = [nn.BatchNorm2d(4)] if norm else []
            parts = [nn.Conv2d(2, 4, 3), *middle, nn.GELU(), nn.Flatten(), nn.Linear(4 * 2 * 2, OUTPUTS)]
            return fill(nn.Sequential(*parts), seed)

    return build


@pytest.fixture(scope="session")
def samples():
    """N inputs (N, 2, 3) and their classes."""
    import torch

    def draw(count, shape=SHAPE, seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(count, *shape, generator=generator, dtype=torch.float64)
        scales = torch.linspace(0.5, 2, inputs[0].numel(), dtype=torch.float64).view(shape)
        return (inputs * scales + 0.2).to(dtype), torch.randint(OUTPUTS, (count,), generator=generator)

    return draw


@pytest.fixture(scope="session")
def task():
    """Cross-entropy."""
    from lmc.data import TASKS

    return TASKS["cross_entropy"]


@pytest.fixture
def rng():
    """A fresh generator, the same for every test."""
    import torch

    return torch.Generator().manual_seed(20)


@pytest.fixture
def shared_data():
    """The real sets, where somebody has put them beside the repository."""

    def locate(name):
        folder = Path(__file__).resolve().parents[2] / "shared" / "data" / name
        if not folder.is_dir():
            pytest.skip(f"no {folder}: put the parquet files of {name} there")
        return str(folder)

    return locate
