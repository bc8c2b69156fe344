"""Rotate any data set's inputs, all by one rotation, so that their subspace has a given coherence."""

from __future__ import annotations

import torch
from torch import Tensor

from lmc.core.errors import DataError, LmcError, SettingError
from lmc.core.linear_algebra import principal_directions, rotate_to_coherence

_ROWS = 4096


def rotation_to(name: str, train: Tensor, coherence: float, ratio: float) -> Tensor:
    """The rotation that gives the principal subspace of the train split a coherence (THEORY 3).

    Args:
        train: (N, *shape), as the networks would see them; features are flattened.
        coherence: the target, from k/d to 1.
        ratio: k is the smallest number of directions that explain this share of the variance.

    Returns:
        (d, d), float64, orthogonal.

    Raises:
        SettingError: the target is out of reach; the range and the present coherence are said.
        DataError: the inputs are constant.
    """
    try:
        basis, _ = principal_directions(_covariance(train.flatten(1)), ratio)
    except LmcError as error:
        raise DataError(f"data={name}: {error.message}", error.hint) from error
    try:
        return rotate_to_coherence(basis, coherence)
    except LmcError as error:
        raise SettingError(f"data.coherence={coherence:g}: {error.message}", error.hint) from error


def rotated(inputs: Tensor, rotation: Tensor) -> Tensor:
    """The same samples (N, *shape) in turned coordinates; all distances between them stay."""
    flat = inputs.flatten(1)
    turned = torch.empty_like(flat)
    for part, out in zip(flat.split(_ROWS), turned.split(_ROWS), strict=True):
        out.copy_(part.double() @ rotation.T)
    return turned.view_as(inputs)


def _covariance(flat: Tensor) -> Tensor:
    """(d, d) in float64, of (N, d), without a second copy of the data."""
    centre = flat.mean(0, dtype=torch.float64)
    total = torch.zeros(flat.shape[1], flat.shape[1], dtype=torch.float64)
    for part in flat.split(_ROWS):
        centred = part.double().sub_(centre)
        total.addmm_(centred.T, centred)
    return total / len(flat)
