"""Evaluation mode is borrowed: whatever happens, every part has its own mode again."""

import pytest
import torch

from lmc.models.modes import evaluating
from lmc.models.stack import Point, stack_states, state_of
from lmc.recording import record, reestimate, sample
from lmc.recording.evaluation import activation_size


class Stopped(Exception):
    pass


@pytest.fixture
def mixed(pico):
    """A network in training with a frozen norm inside: neither mode is that of all parts."""
    network = pico(1, norm="batch").train()
    network.norms[0].eval()
    return network


def _modes(network):
    return {name: part.training for name, part in network.named_modules()}


@pytest.mark.parametrize("gradients", [False, True])
def test_every_parts_own_mode_comes_back(mixed, gradients):
    before = _modes(mixed)
    assert {*before.values()} == {True, False}
    with evaluating(mixed, gradients=gradients):
        assert not any(_modes(mixed).values())
        mixed.norms[0].train()
        assert torch.is_grad_enabled() == gradients
    assert _modes(mixed) == before
    assert torch.is_grad_enabled()
    with pytest.raises(Stopped), evaluating(mixed, gradients=gradients):
        raise Stopped
    assert _modes(mixed) == before
    assert torch.is_grad_enabled()


def test_gradients_that_are_off_stay_off(mixed):
    with torch.no_grad(), evaluating(mixed, gradients=True):
        assert not torch.is_grad_enabled()


def _fail(*_):
    raise Stopped


@pytest.mark.parametrize("fails", [False, True])
def test_what_runs_a_network_leaves_its_modes_and_hooks_alone(mixed, samples, fails):
    inputs, tensors = samples(20)[0], stack_states([state_of(mixed)])
    momentum = [part.momentum for part in mixed.norms]
    last = mixed.layers[2]
    handle = last.register_forward_pre_hook(_fail) if fails else None
    before = _modes(mixed)
    for use in (
        lambda: activation_size(mixed, inputs[:1]),
        lambda: reestimate(mixed, tensors, inputs),
        lambda: record(mixed, tensors, inputs, {Point("layers.1", "input"): [(0, 0)]}),
        lambda: sample(mixed, tensors, inputs, Point("layers.1", "input"), 3),
    ):
        if fails:
            with pytest.raises(Stopped):
                use()
        else:
            use()
        assert _modes(mixed) == before
        assert [part.momentum for part in mixed.norms] == momentum
    if handle:
        handle.remove()
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in mixed.modules())
