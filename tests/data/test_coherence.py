"""The dial ``data.coherence``: reached exactly, nothing but a rotation, refused where impossible."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lmc.data
from lmc.core.errors import DataError, SettingError
from lmc.core.linear_algebra import coherence, principal_directions
from lmc.data import Raw
from lmc.data.splitting import split

D = 24


def raw(shape=(D,), kind="table", samples=200):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(samples, D, generator=generator) * torch.linspace(3, 0.1, D)
    inputs = inputs.reshape(samples, *shape) + 2
    return Raw(inputs, torch.zeros(samples, 1), "squared_error", 1, kind)


def measured(inputs, ratio=0.9):
    """The k and the coherence of the principal subspace."""
    basis, _ = principal_directions(inputs.flatten(1).double().T.cov(correction=0), ratio)
    return basis.shape[1], coherence(basis)


def everything(data):
    return torch.cat([part.inputs.flatten(1).double() for part in data.splits.values()])


@pytest.mark.parametrize("standardise", [True, False])
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), ratio=st.sampled_from([0.3, 0.9, 0.99]))
def test_the_target_is_reached_by_one_rotation_of_all_splits(standardise, share, ratio):
    wishes = {"standardise": standardise, "val_fraction": 0.2, "split_seed": 1}
    plain = split("set", raw(), **wishes)
    k, _ = measured(plain.train.inputs, ratio)
    target = min(1.0, k / D + share * (1 - k / D))
    ratios = {} if ratio == 0.9 else {"coherence_ratio": ratio}
    data = split("set", raw(), coherence=target, **ratios, **wishes)
    assert measured(data.train.inputs, ratio) == (k, pytest.approx(target, abs=1e-6))
    before, after = everything(plain), everything(data)
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after @ after.T, before @ before.T, atol=1e-4, rtol=1e-5)
    assert data.digest == plain.digest
    for part, other in zip(data.splits.values(), plain.splits.values(), strict=True):
        assert torch.equal(part.targets, other.targets)
        assert part.inputs.dtype == torch.float32
        assert part.inputs.is_contiguous()


def test_images_keep_their_shape():
    plain, data = (split("set", raw((2, 3, 4), "image"), coherence=value) for value in (None, 0.95))
    assert data.train.inputs.shape == plain.train.inputs.shape
    assert measured(data.train.inputs)[1] == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize("target", [0.35, 0.6, 0.9, 1])
def test_digits_down_and_up(target):
    assert 0.6 < measured(lmc.data.load().train.inputs)[1] < 0.9
    data = lmc.data.load("digits", coherence=target)
    assert data.input_shape == (1, 8, 8)
    assert measured(data.train.inputs)[1] == pytest.approx(target, abs=1e-6)
    again = lmc.data.load("digits", coherence=target)
    assert torch.equal(again.test.inputs, data.test.inputs)


def test_an_empty_split_is_no_trouble():
    data = lmc.data.load("digits", coherence=0.5, val_fraction=0)
    assert data.val.inputs.shape == (0, 1, 8, 8)


def test_what_is_impossible_is_said():
    with pytest.raises(
        SettingError, match=r"data\.coherence=0\.1: .*21 of 64.* from 0\.328125 to 1 .it is 0\.7\d+ now"
    ):
        lmc.data.load("digits", coherence=0.1)
    constant = Raw(torch.ones(9, 4), torch.zeros(9, 1), "squared_error", 1)
    with pytest.raises(DataError, match="data=flat: the inputs are constant"):
        split("flat", constant, coherence=0.5)
    for key, value in (("coherence", 0), ("coherence", 1.5), ("coherence_ratio", 0), ("coherence", "low")):
        with pytest.raises(SettingError, match=f"data.{key}={value}"):
            lmc.data.bind("digits", {key: value})
    with pytest.raises(SettingError, match="without effect unless"):
        lmc.data.load("digits", coherence_ratio=0.5)
