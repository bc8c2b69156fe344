"""The closed form against numpy's least squares on plain rows."""

import numpy as np
import pytest
import torch

from lmc.merging import least_squares
from lmc.merging.least_squares import correction

ROWS, D, N = 60, 12, 9


def _problem(rng, rank=D):
    factor = torch.randn(rank, D, generator=rng, dtype=torch.float64)
    x = torch.randn(ROWS, rank, generator=rng, dtype=torch.float64) @ factor
    weight = torch.randn(N, D, generator=rng, dtype=torch.float64)
    target = torch.randn(ROWS, N, generator=rng, dtype=torch.float64) + 2 * x[:, :1]
    gram, residual = x.mT @ x / ROWS, (target - x @ weight.mT).mT @ x / ROWS
    return x, weight, target, gram, residual


def _plain(x, target, ridge):
    """The best and, among these, least change of a row on the columns of x."""
    penalty = ridge * len(x)
    rows = np.concatenate([x, np.sqrt(penalty) * np.eye(x.shape[1])])
    return np.linalg.lstsq(rows, np.concatenate([target, np.zeros(x.shape[1])]), rcond=1e-12)[0]


@pytest.mark.parametrize("share", [1.0, 0.85, 0.3])
@pytest.mark.parametrize("ridge", [0, 1e-6, 1e-3, 10])
@pytest.mark.parametrize("rank", [D, 5])
def test_every_row_is_the_solution_of_its_own_problem(rng, share, ridge, rank, monkeypatch):
    monkeypatch.setattr(least_squares, "_BUDGET", 3 * 8 * D * D)
    x, weight, target, gram, residual = _problem(rng, rank)
    free = torch.rand(N, D, generator=rng) < share
    free[0], free[1] = True, False
    found = correction(gram, residual, ridge, None if share == 1 else free)
    penalty = ridge * float(gram.diagonal().mean())
    for row in range(N):
        own = torch.ones(D, dtype=torch.bool) if share == 1 else free[row]
        wished = (target - x @ weight.mT)[:, row]
        expected = _plain(x[:, own].numpy(), wished.numpy(), penalty)
        np.testing.assert_allclose(found[row, own].numpy(), expected, rtol=1e-8, atol=1e-8)
        assert torch.equal(found[row, ~own], torch.zeros(int((~own).sum()), dtype=torch.float64))


@pytest.mark.parametrize("ridge", [0, 1e-3])
def test_inputs_that_do_not_vary_change_nothing(rng, ridge):
    _, _, _, gram, residual = _problem(rng)
    gram[3], gram[:, 3], residual[:, 3] = 0, 0, 0
    assert correction(gram, residual, ridge)[:, 3].abs().max() < 1e-12
    nothing = torch.zeros_like(gram)
    assert torch.equal(correction(nothing, torch.zeros_like(residual), ridge), torch.zeros_like(residual))
