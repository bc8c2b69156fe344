"""Merged representations go on with the rest of a network; at the outputs they are the ensemble."""

import pytest
import torch

from lmc.models.stack import stack_states, state_of
from lmc.paths import HEADS, Scene, cuts, merge_representations, scan
from lmc.paths.cuts import OUTPUTS
from lmc.recording import evaluate

ALPHAS = [0.0, 0.3, 1.0]


@pytest.fixture(params=["layer", "batch", "conv"])
def case(request, pico, conv_net, samples):
    """Two networks, and what to evaluate them on."""
    shape = (2, 4, 4) if request.param == "conv" else (2, 3)
    build = (lambda seed: conv_net(seed, norm=True)) if request.param == "conv" else None
    build = build or (lambda seed: pico(seed, norm=request.param))
    return build(1), build(2), {"train": samples(40, shape), "test": samples(11, shape, seed=1)}


def _merge(case, task, point, heads=HEADS, statistics=None):
    return merge_representations(_scene(case, task, statistics), point, heads)


def _scene(case, task, statistics=None):
    one, two, splits = case
    return Scene(one, state_of(one), state_of(two), ALPHAS, splits, task.losses, task.correct, statistics)


def _places(case):
    network, _, splits = case
    return [cut.point for cut in cuts(network, state_of(network), splits["test"][0][:4])]


def test_at_the_outputs_it_is_the_logit_ensemble(case, task):
    one, two, splits = case
    found = _merge(case, task, OUTPUTS)
    for split, (inputs, targets) in splits.items():
        with torch.no_grad():
            logits = torch.lerp(one.eval()(inputs), two.eval()(inputs), 0.3)
        for head in HEADS:
            loss, accuracy = found[head][split]
            assert float(loss[1]) == pytest.approx(float(task.losses(logits, targets).mean()), rel=1e-5)
            assert float(accuracy[1]) == pytest.approx(float(task.correct(logits, targets).mean()))


def test_one_end_is_one_network(case, task):
    one, two, splits = case
    ends = stack_states([state_of(one), state_of(two)])
    for point in _places(case):
        found = _merge(case, task, point)
        for split, data in splits.items():
            loss, _ = evaluate(one, ends, *data, task.losses, task.correct)
            for head, at in (("a", 0), ("mean", 0), ("mean", -1), ("b", -1)):
                torch.testing.assert_close(found[head][split][0][at], loss[at], rtol=1e-5, atol=0)


def test_the_rest_reads_the_mean_state(pico, samples, task):
    one, two = pico(1), pico(2)
    inputs, targets = samples(20)
    case = (one, two, {"test": (inputs, targets)})
    found = _merge(case, task, _places(case)[0])

    def hidden(network):
        return network.activations[0](network.norms[0](network.layers[0](inputs.flatten(1))))

    middle = pico(0)
    middle.load_state_dict(
        {name: torch.lerp(a, state_of(two)[name], 0.3) for name, a in state_of(one).items()}
    )
    with torch.no_grad():
        state = torch.lerp(hidden(one), hidden(two), 0.3)
        for head, network in zip(HEADS, (one, two, middle), strict=True):
            again = network.activations[1](network.norms[1](network.layers[1](state)))
            logits = network.layers[2](again)
            loss = found[head]["test"][0][1]
            assert float(loss) == pytest.approx(float(task.losses(logits, targets).mean()), rel=1e-5)


def test_a_network_and_itself_are_that_network_everywhere(case, task):
    one, _, splits = case
    for point in _places(case):
        for by_split in _merge((one, one, splits), task, point).values():
            for loss, _ in by_split.values():
                torch.testing.assert_close(loss, loss[:1].expand(3), rtol=1e-5, atol=0)


def test_statistics_are_reestimated_on_what_the_rest_reads(pico, samples, task):
    """With one end's states and weights they are that end's, as on the line.

    But for the layers before, which normalise by a batch's biased variance there, and by n - 1 here.
    """
    one, two = pico(1, norm="batch"), pico(2, norm="batch")
    splits, train = {"test": samples(30, seed=1)}, samples(40)[0]
    case = (one, two, splits)
    line = scan(_scene(case, task, train))["test"][0]
    stored = scan(_scene(case, task))["test"][0]
    found = _merge(case, task, _places(case)[0], statistics=train)["mean"]["test"][0]
    ends = [0, -1]
    assert ((found - line)[ends].abs() < 0.2 * (stored - line)[ends].abs()).all()
