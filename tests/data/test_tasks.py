import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc.data import TASKS

SHAPES = st.tuples(
    st.lists(st.integers(1, 3), max_size=2).map(tuple),
    st.integers(0, 5),
    st.integers(1, 4),
    st.integers(0, 99),
)


def draw(name, leading, samples, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(*leading, samples, width, generator=generator)
    if name == "cross_entropy":
        return outputs, torch.randint(width, (*leading, samples), generator=generator)
    if name == "node_classification":
        outputs = torch.randn(*leading, samples, 3, width, generator=generator)
        targets = torch.randint(-1, width, (*leading, samples, 3), generator=generator)
        targets[..., 1] = width - 1
        return outputs, targets
    if name == "binary_cross_entropy":
        return outputs, torch.randint(2, outputs.shape, generator=generator).float()
    return outputs, torch.randn(outputs.shape, generator=generator)


def plainly(name, outputs, target):
    """Loss and accuracy of one sample, without batches."""
    if name == "cross_entropy":
        return F.cross_entropy(outputs[None], target[None]), float(outputs.argmax() == target)
    if name == "node_classification":
        pairs = [
            plainly("cross_entropy", *pair) for pair in zip(outputs, target, strict=True) if pair[1] >= 0
        ]
        return torch.tensor(pairs).mean(0).tolist()
    if name == "binary_cross_entropy":
        hits = [(logit > 0) == (label == 1) for logit, label in zip(outputs, target, strict=True)]
        return F.binary_cross_entropy_with_logits(outputs, target), float(sum(hits)) / len(hits)
    return F.mse_loss(outputs, target), float("nan")


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=25, deadline=None)
@given(SHAPES)
def test_every_sample_has_the_plain_loss_and_accuracy(name, shape):
    leading, samples, width, seed = shape
    outputs, targets = draw(name, leading, samples, width, seed)
    losses, correct = TASKS[name].losses(outputs, targets), TASKS[name].correct(outputs, targets)
    assert losses.shape == correct.shape == (*leading, samples)
    assert correct.dtype == outputs.dtype
    flat_targets = targets.reshape(-1, *targets.shape[len(leading) + 1 :])
    flat_outputs = outputs.reshape(-1, *outputs.shape[len(leading) + 1 :])
    pairs = [plainly(name, *pair) for pair in zip(flat_outputs, flat_targets, strict=True)]
    if pairs:
        loss, accuracy = torch.tensor(pairs).unbind(1)
        torch.testing.assert_close(losses.reshape(-1), loss)
        torch.testing.assert_close(correct.reshape(-1), accuracy, equal_nan=True)


@pytest.mark.parametrize("name", TASKS)
def test_vmap_and_shared_targets_agree_with_leading_axes(name):
    outputs, targets = draw(name, (3,), 5, 4)
    task = TASKS[name]
    for method in (task.losses, task.correct):
        whole = method(outputs, targets)
        torch.testing.assert_close(torch.func.vmap(method)(outputs, targets), whole, equal_nan=True)
        shared = torch.func.vmap(method, in_dims=(0, None))(outputs, targets[0])
        torch.testing.assert_close(method(outputs, targets[0]), shared, equal_nan=True)
        torch.testing.assert_close(shared[0], whole[0], equal_nan=True)


@pytest.mark.parametrize("name", TASKS)
def test_gradients_under_vmap_are_those_of_each_run_alone(name):
    outputs, targets = draw(name, (3,), 5, 4)

    def loss(one, target):
        return TASKS[name].losses(one, target).mean()

    together = torch.func.vmap(torch.func.grad(loss))(outputs, targets)
    for run in range(3):
        torch.testing.assert_close(together[run], torch.func.grad(loss)(outputs[run], targets[run]))


def test_names_are_the_keys():
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}


def test_a_node_without_a_class_counts_for_nothing(rng):
    """And where none has one there is no loss."""
    task = TASKS["node_classification"]
    outputs, targets = torch.randn(1, 6, 3, generator=rng), torch.tensor([[0, -1, 2, -1, 1, -1]])
    known = targets[0] >= 0
    for method in (task.losses, task.correct):
        torch.testing.assert_close(method(outputs, targets), method(outputs[:, known], targets[:, known]))
        assert method(outputs, torch.full_like(targets, -1)).isnan().all()
    other = torch.where(known[:, None], outputs, torch.tensor(50.0))
    assert torch.equal(task.losses(other, targets), task.losses(outputs, targets))
