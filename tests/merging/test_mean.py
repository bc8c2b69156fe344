"""The mean of the weights."""

import pytest
import torch

from lmc.merging import MERGERS, Material
from lmc.merging.mean import average


@pytest.mark.parametrize("copies", [1, 2, 3, 7])
def test_the_mean_of_copies_is_the_copy_to_the_bit(pico, pico_states, samples, copies):
    (state,) = pico_states(1, norm="batch")
    material = Material([state] * copies, pico(norm="batch"), samples(4)[0], None)
    merged = MERGERS["mean"](material)
    assert [*merged.state] == [*state]
    assert (merged.outside, merged.notes) == (None, ())
    for name, value in merged.state.items():
        assert value.dtype == state[name].dtype
        assert torch.equal(value, state[name])
        assert value.data_ptr() != state[name].data_ptr()


def test_against_plain_sums_in_any_order(pico_states):
    states = pico_states(4, norm="batch")
    states[1]["norms.0.num_batches_tracked"] += 9
    merged, other = average(states), average(states[::-1])
    for name, value in merged.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(state[name] for state in states) / 4)
            torch.testing.assert_close(other[name], value, rtol=1e-6, atol=0)
        else:
            assert torch.equal(value, states[0][name])


def test_a_small_weight_beside_a_large_one_is_not_lost():
    states = [{"w": torch.tensor([value])} for value in (1e8, 1.0, -1e8)]
    assert average(states)["w"].item() == pytest.approx(1 / 3)
