"""One pass over the data, in any chunks, gives what a plain computation gives."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from lmc.models.stack import Point, stack_states, state_of, unstack
from lmc.recording import MomentStream, batchnorm, evaluate, evaluation, features, moments, record, reestimate


def _stream(x, cuts, pairs):
    stream = MomentStream(pairs)
    for start, end in zip([0, *cuts], [*cuts, x.shape[1]], strict=True):
        stream.add(x[:, start:end])
    return stream.finish()


@given(
    st.integers(1, 3),
    st.integers(2, 30),
    st.integers(1, 4),
    st.lists(st.integers(0, 30), max_size=5),
    st.sampled_from([0.0, 1.0, 1e5]),
    st.integers(0, 99),
)
def test_chunks_are_at_once_and_numpy(runs, count, n, cuts, level, seed):
    x = level * torch.arange(1, n + 1) + torch.randn(
        runs, count, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    pairs = [(a, b) for a in range(runs) for b in range(runs)]
    found = _stream(x, sorted(min(cut, count) for cut in cuts), pairs)
    assert found.count == count
    np.testing.assert_allclose(found.mean, x.numpy().mean(1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.variance, x.numpy().var(1), rtol=1e-10, atol=1e-12)
    for a, b in pairs:
        joint = np.cov(np.concatenate([x[a].numpy(), x[b].numpy()], 1).T, bias=True)[:n, n:]
        # A mean of 1e5 leaves numpy itself ten digits.
        np.testing.assert_allclose(
            found.covariance(a, b), joint, rtol=1e-10, atol=1e-10 * max(1, joint.max())
        )


def test_a_large_mean_costs_no_digits(rng):
    small = torch.randn(1, 1000, 3, generator=rng, dtype=torch.float64)
    near, far = _stream(small, [100, 300], [(0, 0)]), _stream(small + 1e7, [100, 300], [(0, 0)])
    torch.testing.assert_close(far.covariance(), near.covariance(), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(far.variance, near.variance, rtol=1e-8, atol=0)


def test_only_what_was_asked_for_is_kept_and_the_reverse_is_the_transpose(rng):
    x = torch.randn(3, 20, 4, generator=rng).double()
    found = _stream(x, [7], [(0, 2), (0, 2), (1, 1)])
    assert {*found.covariances} == {(0, 2), (1, 1)}
    assert torch.equal(found.covariance(2, 0), found.covariance(0, 2).mT)
    assert not torch.allclose(found.covariance(2, 0), found.covariance(0, 2))
    torch.testing.assert_close(found.covariance(1).diagonal(), found.variance[1])
    torch.testing.assert_close(found.second_moment(1), x[1].mT @ x[1] / 20)
    with pytest.raises(KeyError):
        found.covariance(0, 1)


def test_nothing_was_added():
    with pytest.raises(ValueError, match="no samples"):
        MomentStream().finish()


def test_positions_and_tokens_are_samples(rng):
    images = torch.randn(2, 3, 4, 5, 6, generator=rng)
    assert features(images).shape == (2, 3 * 5 * 6, 4)
    assert torch.equal(features(images)[1, 7], images[1, 0, :, 1, 1])
    tokens = torch.randn(2, 3, 5, 4, generator=rng)
    assert torch.equal(features(tokens)[1, 6], tokens[1, 1, 1])
    plain = torch.randn(2, 3, 4, generator=rng)
    assert features(plain) is plain


@pytest.fixture
def small_chunks(monkeypatch):
    """A memory of a few samples, so that a pass takes several unequal chunks."""
    for room in (moments, evaluation):
        monkeypatch.setattr(room, "chunk", lambda samples, *_, **__: 7)


@pytest.mark.parametrize("kind", ["layer", "batch", "conv"])
def test_recorded_moments_are_those_of_the_activations(pico, conv_net, samples, small_chunks, kind):
    shape = (2, 4, 4) if kind == "conv" else (2, 3)
    build = (
        (lambda seed: conv_net(seed, norm=True)) if kind == "conv" else (lambda seed: pico(seed, norm=kind))
    )
    inputs, name = samples(23, shape)[0], "2" if kind == "conv" else "activations.0"
    networks = [build(seed).eval() for seed in range(3)]
    template = build(9).train()
    point, other = Point(name, "output"), Point("4" if kind == "conv" else "layers.1", "input")
    found = record(
        template,
        stack_states([state_of(net) for net in networks]),
        inputs,
        {point: [(0, 1)], other: [(2, 2)]},
    )
    assert template.training
    seen = []
    for network in networks:
        handle = network.get_submodule(name).register_forward_hook(
            lambda *args: seen.append(args[2].detach())
        )
        network(inputs)
        handle.remove()
    rows = torch.stack(seen).double()
    rows = rows.permute(0, 1, 3, 4, 2).flatten(1, 3) if kind == "conv" else rows
    assert found[point].count == rows.shape[1]
    torch.testing.assert_close(found[point].mean, rows.mean(1), rtol=1e-5, atol=1e-6)
    centred = rows - rows.mean(1, keepdim=True)
    torch.testing.assert_close(
        found[point].covariance(0, 1), centred[0].mT @ centred[1] / rows.shape[1], rtol=1e-4, atol=1e-6
    )
    assert {*found[other].covariances} == {(2, 2)}
    assert found[other].count == 23


def test_a_stack_records_what_each_run_records_alone(pico, pico_states, samples):
    inputs, states, points = samples(30)[0], pico_states(3), {Point("activations.1", "output"): [(0, 0)]}
    pairs = {Point("activations.1", "output"): [(run, run) for run in range(3)]}
    together = record(pico(), stack_states(states), inputs, pairs)[Point("activations.1", "output")]
    for run, state in enumerate(states):
        alone = record(pico(), stack_states([state]), inputs, points)[Point("activations.1", "output")]
        torch.testing.assert_close(together.mean[run], alone.mean[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(together.covariance(run), alone.covariance(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_evaluate_is_a_plain_loop_over_samples(pico, pico_states, samples, task, small_chunks, norm):
    inputs, targets = samples(23)
    states, template = pico_states(3, norm=norm), pico(9, norm=norm).train()
    loss, accuracy = evaluate(template, stack_states(states), inputs, targets, task.losses, task.correct)
    assert template.training
    assert loss.dtype == accuracy.dtype == torch.float64
    for run, state in enumerate(states):
        network = pico(norm=norm).eval()
        network.load_state_dict(state)
        with torch.no_grad():
            outputs = [network(one[None])[0] for one in inputs]
        losses = [float(-out.log_softmax(0)[target]) for out, target in zip(outputs, targets, strict=True)]
        hits = [int(out.argmax() == target) for out, target in zip(outputs, targets, strict=True)]
        # The mean over samples, not over chunks: 23 is no multiple of 7.
        assert float(loss[run]) == pytest.approx(sum(losses) / 23, rel=1e-6)
        assert float(accuracy[run]) == sum(hits) / 23
    alone, _ = evaluate(template, stack_states(states[1:2]), inputs, targets, task.losses, task.correct)
    assert float(alone[0]) == pytest.approx(float(loss[1]), rel=1e-6)


def test_an_empty_split_is_nan(pico, pico_states, samples, task):
    inputs, targets = samples(4)
    found = evaluate(pico(), stack_states(pico_states(2)), inputs[:0], targets[:0], task.losses, task.correct)
    assert all(value.shape == (2,) and value.isnan().all() for value in found)


@pytest.mark.parametrize("count", [6, 16, 18])
def test_reestimate_is_a_cumulative_batch_norm(pico, conv_net, samples, monkeypatch, count):
    monkeypatch.setattr(batchnorm, "BATCH", 8)
    for build, shape in [
        (lambda seed: pico(seed, norm="batch"), (2, 3)),
        (lambda seed: conv_net(seed, True), (2, 4, 4)),
    ]:
        inputs = samples(count, shape)[0]
        states = [state_of(build(seed)) for seed in range(3)]
        template, tensors = build(7).eval(), stack_states(states)
        before = {name: value.clone() for name, value in tensors.items()}
        found = reestimate(template, tensors, inputs)
        assert not template.training
        assert all(torch.equal(tensors[name], value) for name, value in before.items())
        for run, state in enumerate(states):
            network = build(0)
            network.load_state_dict(state)
            network.eval()
            for part in network.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.reset_running_stats()
                    part.momentum = None
                    part.train()
            with torch.no_grad():
                for batch in inputs.split(8):
                    if len(batch) == 8 or count < 8:
                        network(batch)
            for name, value in network.state_dict().items():
                if not name.endswith("num_batches_tracked"):
                    torch.testing.assert_close(found[name][run], value, rtol=1e-5, atol=1e-6)
            alone = reestimate(template, stack_states([state]), inputs)
            for name, value in unstack(found, run).items():
                torch.testing.assert_close(alone[name][0], value, rtol=1e-5, atol=1e-6)
        assert all(part.momentum == 0.1 for part in template.modules() if hasattr(part, "momentum"))


def test_reestimated_statistics_do_not_depend_on_the_stored_ones(pico, pico_states, samples):
    inputs, (state,) = samples(40)[0], pico_states(1, norm="batch")
    other = {name: value + 1 if "running" in name else value for name, value in state.items()}
    one, two = (reestimate(pico(norm="batch"), stack_states([given]), inputs) for given in (state, other))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_only_batch_norm_is_in_training_mode_and_networks_without_it_are_left_alone(samples):
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(6, 4), nn.BatchNorm1d(4)).train()
    inputs = samples(32)[0]
    found = reestimate(network, stack_states([state_of(network)]), inputs)
    h = functional_call(
        network[2], {name: found[f"2.{name}"][0] for name in ("weight", "bias")}, (inputs.flatten(1),)
    )
    torch.testing.assert_close(found["3.running_mean"][0], h.mean(0), rtol=1e-5, atol=1e-6)
    assert network[1].training
    assert network.training
    plain = nn.Linear(2, 2)
    tensors = stack_states([state_of(plain)])
    assert reestimate(plain, tensors, torch.zeros(1, 2)) == tensors
