"""The teacher of the coherence experiment (THEORY 3): one function, inputs of a chosen coherence."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Generator, Tensor

from lmc.core import seeds
from lmc.core.errors import SettingError
from lmc.data.dataset import Raw
from lmc.data.synthetic import Count, Sampling, embedded

Embedding = Literal["exact_copy", "random_tight_frame"]

_SAMPLING = Sampling(train_samples=1024, test_samples=2048)


def teacher(
    *,
    embedding: Embedding = "exact_copy",
    copies: Count = 1,
    pairs: Count = 10,
    sampling: Sampling = _SAMPLING,
) -> Raw:
    """Regress relu(z_1 + z_2), z ~ N(0, I_2), from inputs x = E z whose subspace has coherence 1/copies.

    The same seeds give the same latents and targets whatever the embedding.

    Args:
        embedding: ``exact_copy`` repeats z in the first pairs of coordinates; ``random_tight_frame``
            turns each copy by an angle of its own and scatters them over random coordinates.
        copies: how many of the pairs hold a copy of z, each scaled by 1/sqrt(copies); the others are 0.
        pairs: m; the inputs have 2m dimensions.
    """

    def draw(samples: int, generator: Generator) -> tuple[Tensor, Tensor]:
        latents = torch.randn(samples, 2, generator=generator, dtype=torch.float64)
        return latents, latents.sum(1, keepdim=True).relu().float()

    frame = embedding_matrix(embedding, copies, pairs, sampling.structure_seed)
    return embedded(draw, frame, "squared_error", 1, sampling)


def embedding_matrix(embedding: Embedding, copies: int, pairs: int, structure_seed: int) -> Tensor:
    """E, (2 pairs, 2) float64: orthonormal columns, ``2 copies`` rows of squared length 1/copies.

    Raises:
        SettingError: more copies than pairs.
    """
    if copies > pairs:
        message = f"data.copies={copies}: more than the {pairs} of data.pairs"
        raise SettingError(message, f"choose from 1 to {pairs}")
    matrix = torch.zeros(2 * pairs, 2, dtype=torch.float64)
    if embedding == "exact_copy":
        matrix[: 2 * copies] = torch.eye(2, dtype=torch.float64).repeat(copies, 1)
    else:
        generator = seeds.generator("random_tight_frame", structure_seed)
        rows = torch.randperm(2 * pairs, generator=generator)[: 2 * copies]
        angles = 2 * math.pi * torch.rand(copies, generator=generator, dtype=torch.float64)
        cosine, sine = angles.cos(), angles.sin()
        turns = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
        matrix[rows] = turns.reshape(-1, 2)
    return matrix / math.sqrt(copies)
