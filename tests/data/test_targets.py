"""What becomes of a target is said, and how to choose otherwise."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes

import lmc.data
from lmc.core.errors import DataError, SettingError

DIABETES = load_diabetes(as_frame=True).frame


def raw(folder, target, **settings):
    table = DIABETES[["age", "bmi"]].assign(y=target)
    table.to_csv(folder / "train.csv", index=False)
    return lmc.data.DATASETS["hub"](path=str(folder), inputs=["age", "bmi"], target="y", **settings)


def test_whole_numbers_of_a_wide_range_are_doubted(tmp_path):
    target = DIABETES["target"].astype(int)
    found = raw(tmp_path, target)
    assert found.outputs == target.nunique() == 214
    assert found.doubts == (
        "data.target=y: 214 classes, 25, 31, 37, 39, ..., 346; data.task=squared_error regresses the numbers",
    )
    assert raw(tmp_path, target, task="cross_entropy").doubts == ()
    chosen = raw(tmp_path, target, task="squared_error")
    assert torch.equal(chosen.targets[:, 0], torch.tensor(target.to_numpy(np.float32)))


def test_few_whole_numbers_are_said_and_not_doubted(tmp_path):
    found = raw(tmp_path, np.arange(442) % 3)
    assert found.notes == (
        "data.target=y: 3 classes, 0, 1, 2; data.task=squared_error regresses the numbers",
    )
    assert found.doubts == ()


def test_classes_written_as_fractions_are_doubted(tmp_path):
    found = raw(tmp_path, np.arange(442) % 3 * 1.0)
    assert found.task == "squared_error"
    assert any("3 whole numbers; data.task=cross_entropy makes them classes" in text for text in found.doubts)
    assert raw(tmp_path, np.arange(442) % 3 * 0.7).doubts == ()


@pytest.mark.parametrize("strange", ["{:,.0f}", "{:.1f}%"])
def test_words_that_spell_numbers_are_no_classes_unless_asked(tmp_path, strange):
    target = [strange.format(value * 100) for value in DIABETES["target"]]
    with pytest.raises(DataError, match=r"words that look like numbers.*data\.task=cross_entropy"):
        raw(tmp_path, target)
    assert raw(tmp_path, target, task="cross_entropy").outputs == 214


def test_regressed_values_are_standardised_if_asked(tmp_path):
    found = raw(tmp_path, DIABETES["target"])
    assert "mean 152 and standard deviation 77; data.standardise_target=true" in found.doubts[0]
    given = {"path": str(tmp_path), "inputs": ["age", "bmi"], "target": "y", "split_seed": 3}
    plain, scaled = (lmc.data.load("hub", **given, **extra) for extra in ({}, {"standardise_target": True}))
    assert (scaled.doubts, scaled.digest) == ((), plain.digest)
    seen = plain.train.targets.double().numpy()
    for part, other in zip(plain.splits.values(), scaled.splits.values(), strict=True):
        wanted = (part.targets.double().numpy() - seen.mean()) / np.std(seen)
        np.testing.assert_allclose(other.targets.numpy(), wanted, atol=1e-6)
        assert torch.equal(part.inputs, other.inputs)


def test_standardising_classes_is_refused(tmp_path):
    raw(tmp_path, np.arange(442) % 3)
    given = {"path": str(tmp_path), "inputs": ["age", "bmi"], "target": "y", "standardise_target": True}
    with pytest.raises(SettingError, match="no values to regress, its task is cross_entropy"):
        lmc.data.load("hub", **given)


def test_inputs_that_float32_cannot_tell_apart_are_refused(tmp_path):
    times = pd.DataFrame({"a": 1.7e9 + np.arange(50.0), "b": np.arange(50.0), "y": np.arange(50) % 2})
    times.to_csv(tmp_path / "train.csv", index=False)
    given = {"path": str(tmp_path), "inputs": ["b", "a"], "target": "y"}
    with pytest.raises(
        DataError, match=r"data\.inputs=a \(train\): 1 features vary less than float32 resolves"
    ):
        lmc.data.load("hub", **given)
    times.assign(a=times["a"] - 1.7e9).to_csv(tmp_path / "train.csv", index=False)
    assert lmc.data.load("hub", **given).input_shape == (2,)


def test_a_list_that_is_none_says_how_to_quote(tmp_path):
    raw(tmp_path, np.arange(442) % 3)
    with pytest.raises(SettingError, match=r"quote the names: 'data\.inputs=\[\"größe\",\"b\"\]'"):
        lmc.data.load("hub", path=str(tmp_path), inputs="[größe,b]", target="y")
