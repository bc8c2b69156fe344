"""Data on a subspace of known dimension (THEORY 5): latents of k dimensions, embedded in d by an isometry.

What train and test share (embedding, class means, noise axes) follows from ``structure_seed``; the
samples of each split follow from ``sampling_seed``. The inputs' principal subspace is the embedding's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from lmc.core import seeds
from lmc.core.errors import SettingError
from lmc.core.linear_algebra import random_orthonormal
from lmc.data.dataset import Raw

Count = Annotated[int, Field(ge=1)]
Classes = Annotated[int, Field(ge=2)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Spread = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]

GRAIN = 2.0**-8
"""Far above the rounding of float64, so that every machine finds the same digest."""

_ROWS = 4096


@dataclass(frozen=True)
class Sampling:
    """How much is drawn, and from which seeds: settings of every computed set of train and test samples."""

    train_samples: Count
    test_samples: Count
    structure_seed: int = 0
    sampling_seed: int = 0


def gaussian_subspace(
    *,
    dimension: Count = 128,
    ambient: Count = 512,
    classes: Classes = 20,
    separation: Spread = 0.3,
    noise: Positive = 1.0,
    anisotropy: Ratio = 4.0,
    sampling: Sampling = Sampling(50_000, 10_000),
) -> Raw:
    """Gaussian classes: means N(0, separation^2), anisotropic noise with axes of each class's own.

    Args:
        dimension: k, of the latents.
        ambient: d, of the inputs.
        noise: standard deviation of a latent about its class mean, root mean square over directions.
        anisotropy: largest over smallest standard deviation of the noise; those between are in
            geometric progression.
    """
    _check_dimensions(dimension, ambient)
    structure = seeds.generator("gaussian_subspace", sampling.structure_seed)
    means = separation * torch.randn(classes, dimension, generator=structure, dtype=torch.float64)
    widths = torch.logspace(0, 1, dimension, base=anisotropy, dtype=torch.float64)
    widths *= noise / widths.square().mean().sqrt()
    axes = torch.stack([random_orthonormal(dimension, dimension, structure) for _ in range(classes)])

    def draw(samples: int, generator: Generator) -> tuple[Tensor, Tensor]:
        labels = torch.randint(classes, (samples,), generator=generator)
        latents = widths * torch.randn(samples, dimension, generator=generator, dtype=torch.float64)
        for label in range(classes):
            of_class = labels == label
            latents[of_class] = means[label] + latents[of_class] @ axes[label].T
        return latents, labels

    embedding = random_orthonormal(ambient, dimension, structure)
    return embedded(draw, embedding, "cross_entropy", classes, sampling)


def parity_subspace(
    *,
    dimension: Count = 4,
    ambient: Count = 64,
    classes: Classes = 2,
    sampling: Sampling = Sampling(20_000, 4_000),
) -> Raw:
    """Latents uniform in [-1, 1]^k, labelled by how many of them are negative, modulo the classes.

    Args:
        dimension: k, of the latents.
        ambient: d, of the inputs.
        classes: m. From k + 1 on the label is the number of negatives itself.
    """

    def draw(samples: int, generator: Generator) -> tuple[Tensor, Tensor]:
        latents = _uniform(samples, dimension, generator)
        return latents, (latents < 0).sum(1) % classes

    embedding = _embedding("parity_subspace", dimension, ambient, sampling.structure_seed)
    return embedded(draw, embedding, "cross_entropy", classes, sampling)


def multilabel_subspace(
    *,
    dimension: Count = 16,
    ambient: Count = 64,
    sampling: Sampling = Sampling(20_000, 4_000),
) -> Raw:
    """Latents uniform in [-1, 1]^k, with k labels: 1 where a latent is positive.

    Args:
        dimension: k, of the latents, and the number of labels.
        ambient: d, of the inputs.
    """

    def draw(samples: int, generator: Generator) -> tuple[Tensor, Tensor]:
        latents = _uniform(samples, dimension, generator)
        return latents, (latents > 0).float()

    embedding = _embedding("multilabel_subspace", dimension, ambient, sampling.structure_seed)
    task = "binary_cross_entropy"
    return embedded(draw, embedding, task, dimension, sampling)


def embedded(
    draw: Callable[[int, Generator], tuple[Tensor, Tensor]],
    embedding: Tensor,
    task: str,
    outputs: int,
    sampling: Sampling,
) -> Raw:
    """Train and test samples, neither dependent on the size of the other.

    Args:
        draw: (samples, generator) to latents (N, k), float64, and targets.
        embedding: (d, k), orthonormal columns.
    """
    parts = {}
    for part, samples in (("train", sampling.train_samples), ("test", sampling.test_samples)):
        latents, targets = draw(samples, seeds.generator("sampling", sampling.sampling_seed, part))
        inputs = torch.empty(samples, len(embedding))
        for some, out in zip(latents.split(_ROWS), inputs.split(_ROWS), strict=True):
            out.copy_(some @ embedding.T)
        parts[part] = inputs, targets
    (inputs, targets), (test_inputs, test_targets) = parts["train"], parts["test"]
    return Raw(inputs, targets, task, outputs, "subspace", test_inputs, test_targets, grain=GRAIN)


def _embedding(purpose: str, dimension: int, ambient: int, structure_seed: int) -> Tensor:
    _check_dimensions(dimension, ambient)
    return random_orthonormal(ambient, dimension, seeds.generator(purpose, structure_seed))


def _check_dimensions(dimension: int, ambient: int) -> None:
    if dimension > ambient:
        message = f"data.dimension={dimension}: more than the {ambient} of data.ambient"
        raise SettingError(message, f"choose from 1 to {ambient}")


def _uniform(samples: int, dimension: int, generator: Generator) -> Tensor:
    return torch.rand(samples, dimension, generator=generator, dtype=torch.float64) * 2 - 1
