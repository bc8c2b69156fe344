"""L-BFGS on many problems: the two-loop recursion's directions, and no problem knowing of the others."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lmc.costs.lbfgs import Descent, _Pairs, minimise

MEMORY, UNKNOWNS = 3, 5


@dataclass
class Valleys:
    """Rosenbrock functions (1 - u)^2 + c (v - u^2)^2, as many as curvatures c."""

    bend: Tensor
    evaluations: int = 0

    @property
    def curvature(self):
        return torch.ones(len(self.bend), 2, dtype=torch.float64)

    def take(self, rows):
        return Valleys(self.bend[rows])

    def evaluate(self, point):
        self.evaluations += 1
        u, v = point.T
        off = v - u**2
        gradient = torch.stack([-2 * (1 - u) - 4 * self.bend * u * off, 2 * self.bend * off], dim=1)
        return (1 - u) ** 2 + self.bend * off**2, gradient


def two_loops(gradient, history):
    q, weights = gradient.clone(), []
    for s, y in reversed(history):
        weights.append((s @ q) / (s @ y))
        q -= weights[-1] * y
    for (s, y), weight in zip(history, reversed(weights), strict=True):
        q += (weight - (y @ q) / (s @ y)) * s
    return q


def test_directions_are_those_of_the_two_loops(rng):
    """Each problem leaves out other steps: those it refused (zeros) and those of no positive curvature."""
    draw = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    pairs = _Pairs.empty(draw(4, UNKNOWNS), MEMORY)
    steps = []
    for count in range(8):
        s = draw(4, UNKNOWNS)
        y = s @ torch.diag(torch.linspace(0.5, 2, UNKNOWNS, dtype=torch.float64)) + 0.05 * draw(4, UNKNOWNS)
        if count % 3 == 1:
            s[1], y[1] = 0, 0
        if count % 3 == 2:
            y[2] = -y[2]
        steps.append((s, y))
        gradient = draw(4, UNKNOWNS)
        found = pairs.newton(s, y, gradient)
        for problem in range(4):
            memory = [(s[problem], y[problem]) for s, y in steps[-MEMORY:]]
            expected = two_loops(gradient[problem], [(s, y) for s, y in memory if s @ y > 0])
            torch.testing.assert_close(found[problem], expected)
        if count == 5:
            pairs = pairs.take(torch.arange(4))


def test_a_problem_in_a_batch_is_the_problem_alone():
    bend = torch.tensor([0.5, 5.0, 100.0, 1000.0], dtype=torch.float64)
    start = torch.tensor([[-1.2, 1.0]], dtype=torch.float64).repeat(4, 1)
    point, value, converged = minimise(Descent(Valleys(bend), start), 1e-9, 500)
    assert converged.all()
    torch.testing.assert_close(point, torch.ones_like(point), rtol=0, atol=1e-6)
    for i in range(4):
        alone = minimise(Descent(Valleys(bend[i : i + 1]), start[:1]), 1e-9, 500)
        torch.testing.assert_close(point[i], alone[0][0], rtol=0, atol=1e-7)
    assert (value >= 0).all()


def test_a_step_is_one_evaluation_and_never_a_rise():
    problems = Valleys(torch.tensor([0.5, 5.0, 100.0, 1000.0], dtype=torch.float64))
    descent = Descent(problems, torch.tensor([[-1.2, 1.0]], dtype=torch.float64).repeat(4, 1))
    for count in range(2, 40):
        before = descent.value
        descent.step()
        assert problems.evaluations == count
        assert (descent.value <= before * (1 + 1e-14)).all()


@pytest.mark.parametrize("steps", [0, 3])
def test_steps_are_bounded_and_what_is_unfinished_says_so(steps):
    problems = Valleys(torch.tensor([1.0, 1000.0], dtype=torch.float64))
    start = torch.tensor([[1.0, 1.0], [-1.2, 1.0]], dtype=torch.float64)
    point, _, converged = minimise(Descent(problems, start), 1e-9, steps)
    assert converged.tolist() == [True, False]
    assert torch.equal(point[0], start[0])
