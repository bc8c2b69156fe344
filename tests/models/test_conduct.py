"""Whatever a network does besides computing, evaluating it changes nothing and can be repeated."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from lmc.core import seeds
from lmc.models.conduct import STILL, Conduct, conduct
from lmc.models.modes import evaluating
from lmc.models.stack import Point, forward, stack_states, state_of
from lmc.recording import evaluate, record, reestimate, sample
from tests.training import zoo

WRITES, CHANGES = Conduct(True, False, frozenset()), Conduct(False, True, frozenset())
DRAWS = {
    kind: Conduct(False, False, frozenset({source}))
    for kind, source in (
        (zoo.AlwaysDropout, "torch"),
        (zoo.NumpyNoise, "numpy"),
        (zoo.OwnGenerator, "own"),
        (zoo.PythonNoise, "python"),
    )
}
FOUND = {
    **dict.fromkeys(zoo.WRITE, WRITES),
    **dict.fromkeys([zoo.ClampsWeight, zoo.Counts], CHANGES),
    **DRAWS,
    **dict.fromkeys([zoo.Plain, zoo.FunctionalDropout, zoo.Recurrent, zoo.Item, zoo.MaskedWrite], STILL),
}


def _networks(kind):
    """A template and the tensors of two others."""
    made = []
    for seed in range(3):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made.append(kind())
    return made[0], stack_states([state_of(each) for each in made[1:]]), made[1:]


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: kind.__name__)
def test_what_a_pass_does_is_found(samples, kind):
    module, tensors, _ = _networks(kind)
    inputs = samples(20)[0]
    kept, first = inputs.clone(), {name: tensor[0].clone() for name, tensor in tensors.items()}
    with evaluating(module):
        assert conduct(module, first, inputs) == FOUND[kind]
    assert torch.equal(inputs, kept)
    assert all(torch.equal(first[name], tensor[0]) for name, tensor in tensors.items())


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: kind.__name__)
def test_evaluating_leaves_data_weights_and_generators_as_they_are(samples, task, kind):
    module, tensors, alone = _networks(kind)
    inputs, targets = samples(20)
    before = [inputs.clone(), targets.clone(), *(tensor.clone() for tensor in tensors.values())]
    stood = seeds.standing()
    point = Point("a", "input")

    def all_of_them():
        loss, _ = evaluate(module, tensors, inputs, targets, task.losses, task.correct)
        with evaluating(module):
            outputs, _ = forward(module, tensors, inputs)
        moments = record(module, tensors, inputs, {point: [(0, 1)]})[point]
        rows = sample(module, tensors, inputs, point, 5)
        return [loss, outputs, moments.mean, moments.covariance(0, 1), rows]

    first, second = all_of_them(), all_of_them()
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    reestimate(module, tensors, inputs)
    after = [inputs, targets, *tensors.values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert seeds.standing() == stood
    if kind not in DRAWS:  # in the plain way, which a copy of the inputs keeps from harm
        for run, network in enumerate(alone):
            wanted = copy.deepcopy(network).eval()(inputs.clone()).detach()
            torch.testing.assert_close(first[1][run], wanted)
            assert float(first[0][run]) == pytest.approx(float(nn.functional.cross_entropy(wanted, targets)))


def test_a_network_that_draws_is_not_changed_by_its_company(samples, task):
    module, tensors, _ = _networks(zoo.AlwaysDropout)
    inputs, targets = samples(20)
    both = evaluate(module, tensors, inputs, targets, task.losses, task.correct)[0]
    second = {name: tensor[1:] for name, tensor in tensors.items()}
    assert torch.equal(both[1:], evaluate(module, second, inputs, targets, task.losses, task.correct)[0])
    quiet = evaluate(_networks(zoo.Plain)[0], tensors, inputs, targets, task.losses, task.correct)[0]
    assert not torch.allclose(both, quiet)


@pytest.mark.parametrize("count", [2, 9, 17])
def test_statistics_of_a_batch_never_meet_a_single_sample(samples, task, count, monkeypatch):
    """As many samples at a time as would leave one: it joins those before."""
    import lmc.recording.evaluation as evaluation

    monkeypatch.setattr(evaluation, "chunk", lambda *_: 8)
    module, tensors, alone = _networks(zoo.BatchStatistics)
    inputs, targets = samples(count)
    loss, _ = evaluate(module, tensors, inputs, targets, task.losses, task.correct)
    parts = [inputs] if count < 16 else [inputs[:8], inputs[8:]]
    outputs = torch.cat([alone[0].eval()(part) for part in parts]).detach()
    assert float(loss[0]) == pytest.approx(float(nn.functional.cross_entropy(outputs, targets)))


def test_seeded_draws_are_repeated_and_everything_stands_as_before():
    own = [torch.Generator(), np.random.default_rng(4), random.Random(2)]
    stood = seeds.standing(own)

    def draw():
        return [
            *(float(torch.rand(())), float(np.random.rand()), random.random()),
            *(float(torch.rand((), generator=own[0])), own[1].random(), own[2].random()),
        ]

    found = []
    for seed in (1, 1, 2):
        with seeds.drawing(seed, own):
            assert seeds.standing(own) != stood
            found.append(draw())
        assert seeds.standing(own) == stood
    assert found[0] == found[1]
    assert all(one != other for one, other in zip(found[0], found[2], strict=True))
    draw()
    assert all(now != stood[name] for name, now in seeds.standing(own).items())
