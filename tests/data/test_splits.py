import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lmc.data
from lmc.core.errors import DataError, SettingError
from lmc.data import Raw
from lmc.data.splitting import split


def numbered(samples=50, test=0, features=3):
    """A table whose first feature numbers the samples, and whose last is constant."""
    values = torch.arange(samples + test, dtype=torch.float32)
    inputs = torch.stack(
        [values, *(torch.sin(values * k) for k in range(1, features - 1)), torch.ones_like(values)], 1
    )
    targets = (values % 2).long()
    own = {"test_inputs": inputs[samples:], "test_targets": targets[samples:]} if test else {}
    return Raw(inputs[:samples], targets[:samples], "cross_entropy", 2, "table", **own)


def members(part):
    return part.inputs[:, 0].long().tolist()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(4, 60),
    st.integers(0, 5),
    st.floats(0, 0.6),
    st.floats(0, 0.6),
    st.integers(0, 2**40),
    st.booleans(),
)
def test_splits_are_disjoint_and_exhaustive(
    samples, own_test, val_fraction, test_fraction, seed, standardise
):
    raw = numbered(samples, own_test)
    wishes = {"split_seed": seed, "val_fraction": val_fraction}
    wishes |= {} if own_test else {"test_fraction": test_fraction}
    data = split("numbered", raw, standardise=False, **wishes)
    train, val, test = (members(part) for part in data.splits.values())
    assert sorted(train + val + test) == list(range(samples + own_test))
    if own_test:
        assert test == list(range(samples, samples + own_test))
    else:
        assert len(test) == round(samples * test_fraction)
    assert len(val) == round((samples - (0 if own_test else len(test))) * val_fraction)
    again = split("numbered", raw, standardise=standardise, **wishes)
    for part, other in zip(data.splits.values(), again.splits.values(), strict=True):
        assert torch.equal(part.targets, other.targets)
        assert other.inputs.is_contiguous()
        assert other.inputs.dtype == torch.float32


def test_a_seed_decides_the_split_and_the_val_fraction_leaves_the_test_split_alone():
    first, same, other = (split("n", numbered(), standardise=False, split_seed=seed) for seed in (1, 1, 2))
    assert all(
        members(a) == members(b) for a, b in zip(first.splits.values(), same.splits.values(), strict=True)
    )
    assert members(first.train) != members(other.train)
    wider = split("n", numbered(), standardise=False, split_seed=1, val_fraction=0.3)
    assert members(wider.test) == members(first.test)


def test_a_test_fraction_of_a_set_with_its_own_test_split_is_refused():
    with pytest.raises(SettingError, match=r"data\.test_fraction=0\.5: n has a test split of its own"):
        split("n", numbered(test=5), test_fraction=0.5)


def test_an_empty_val_split_has_the_shapes_of_the_others():
    data = lmc.data.load("digits", val_fraction=0, test_fraction=0)
    for part in (data.val, data.test):
        assert part.inputs.shape == (0, 1, 8, 8)
        assert part.targets.shape == (0,)
        assert data.task.losses(torch.zeros(0, 10), part.targets).shape == (0,)
    assert len(data.train) == 1797


def test_table_features_have_mean_0_and_deviation_1_over_train_only():
    data = split("n", numbered(), val_fraction=0.2)
    raw = split("n", numbered(), val_fraction=0.2, standardise=False)
    values = raw.train.inputs.double()
    centre, width = values.mean(0), values.std(0, correction=0)
    width[-1] = 1  # the constant feature
    for part in data.splits:
        expected = (raw.splits[part].inputs.double() - centre) / width
        torch.testing.assert_close(data.splits[part].inputs, expected.float())
    assert torch.equal(data.train.inputs[:, -1], torch.zeros(len(data.train)))


def test_a_narrow_feature_far_from_nought_is_standardised_exactly():
    inputs = (1e6 + torch.arange(64.0)).repeat(2, 1).T.contiguous()
    data = split("n", Raw(inputs, torch.zeros(64, 1), "squared_error", 1), val_fraction=0, test_fraction=0)
    torch.testing.assert_close(data.train.inputs.std(0, correction=0), torch.ones(2))
    torch.testing.assert_close(data.train.inputs.mean(0), torch.zeros(2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_image_channels_have_mean_0_and_deviation_1(dtype):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(256, (40, 3, 5, 4), generator=generator).to(dtype)
    inputs[:, 2] = 7
    raw = Raw(inputs, torch.zeros(40, 1), "squared_error", 1, "image", scale=255.0)
    data = split("n", raw)
    torch.testing.assert_close(data.train.inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(data.train.inputs.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]))
    plain = split("n", raw, standardise=False)
    assert 0 <= plain.train.inputs.min() <= plain.train.inputs.max() <= 1
    torch.testing.assert_close(plain.test.inputs[:, 2], torch.full((8, 5, 4), 7 / 255))


def test_nothing_left_to_train_on_is_said():
    with pytest.raises(DataError, match="leave none of 4 samples"):
        split("n", numbered(4), val_fraction=0.99, test_fraction=0.5)


FINE = {
    "inputs": torch.zeros(4, 2),
    "targets": torch.tensor([0, 1, 0, 1]),
    "task": "cross_entropy",
    "outputs": 2,
}
BAD = [
    ({"task": "cross_entrop"}, "did you mean cross_entropy"),
    ({"inputs": torch.zeros(4)}, "shape"),
    ({"inputs": torch.zeros(0, 2), "targets": torch.zeros(0).long()}, "shape"),
    ({"kind": "image"}, r"\(N, C, H, W\)"),
    ({"inputs": torch.zeros(4, 2).double()}, "float64"),
    ({"inputs": torch.full((4, 2), torch.nan)}, "8 NaN"),
    ({"targets": torch.zeros(4)}, "expected torch.int64"),
    ({"targets": torch.tensor([0, 1, 2, 1])}, "classes run from 0 to 2"),
    ({"targets": torch.tensor([0, -1, 0, 1])}, "classes run from -1"),
    ({"task": "squared_error"}, "targets are torch.int64"),
    ({"task": "squared_error", "targets": torch.full((4, 2), torch.inf)}, "targets hold 8"),
    ({"task": "binary_cross_entropy", "targets": torch.full((4, 2), 0.5)}, "not all 0 or 1"),
    ({"test_inputs": torch.zeros(1, 2)}, "not both"),
    ({"test_inputs": torch.zeros(1, 3), "test_targets": torch.tensor([0])}, "a test sample has shape"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_raw_data_that_do_not_fit_together_are_refused(change, message):
    split("fine", Raw(**FINE))
    with pytest.raises((DataError, SettingError), match=message):
        split("bad", Raw(**FINE | change))


def test_the_digest_follows_values_shapes_and_types():
    base = Raw(**FINE)
    changed = FINE["inputs"].clone()
    changed[0, 0] = 1e-30
    others = [
        Raw(**FINE | {"inputs": changed}),
        Raw(**FINE | {"inputs": torch.zeros(4, 2, 1)}),
        Raw(**FINE | {"inputs": torch.zeros(4, 8, dtype=torch.uint8)}),
        Raw(**FINE, test_inputs=FINE["inputs"], test_targets=FINE["targets"]),
    ]
    assert len({raw.digest for raw in [base, *others]}) == 5
    assert (
        Raw(
            **{
                name: value.clone() if name in ("inputs", "targets") else value
                for name, value in FINE.items()
            }
        ).digest
        == base.digest
    )
