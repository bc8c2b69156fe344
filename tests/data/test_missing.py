"""A value that is not there is never a class or a number of its own, however it is written."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import lmc.data
from lmc.core.errors import DataError

N = 24
GONE = [3, 17]


def frame(labels):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=N).round(3), "b": np.arange(N), "y": labels})


def words(gone=None):
    return [gone if i in GONE else "uvw"[i % 3] for i in range(N)]


def raw(path, **settings):
    return lmc.data.DATASETS["hub"](**{"path": str(path), "inputs": ["a", "b"], "target": "y"} | settings)


def written(folder, table, suffix="csv", **options):
    folder.mkdir(exist_ok=True)
    file = folder / f"train.{suffix}"
    table.to_csv(file, index=False, **options) if suffix == "csv" else table.to_parquet(file)
    return folder


def without(table):
    return table.drop(index=GONE)


@pytest.mark.parametrize("text", ["", "NA", "?", "nan", "None", "N/A", "NULL", " ? "])
def test_a_missing_label_in_text_is_refused_and_can_be_left_out(tmp_path, text):
    path = written(tmp_path, frame(words()), na_rep=text)
    shown = text.strip() or "empty"
    with pytest.raises(
        DataError, match=rf"\(train\): 2 of 24 labels are missing: {shown}".replace("?", r"\?")
    ):
        raw(path)
    found = raw(path, missing="drop")
    kept = without(frame(words()))
    assert found.outputs == 3
    assert found.targets.tolist() == ["uvw".index(label) for label in kept["y"]]
    torch.testing.assert_close(found.inputs.numpy(), kept[["a", "b"]].to_numpy(np.float32))
    assert "data.missing=drop: 2 of 24 rows of train left out" in found.notes


def test_words_that_mean_themselves_are_kept(tmp_path):
    path = written(tmp_path, frame(words("None")))
    found = raw(path, missing="keep")
    assert (found.outputs, found.targets[3].item()) == (4, 0)
    with pytest.raises(DataError, match="2 of 24 labels are missing: empty"):
        raw(written(tmp_path, frame(words())), missing="keep")


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(words()),
        pa.array(words("NA")),
        pa.array(words()).dictionary_encode(),
        pa.array([None if i in GONE else i % 3 for i in range(N)]),
        pa.array([-1 if i in GONE else i % 3 for i in range(N)]),
        pa.array([None if i in GONE else i % 2 == 0 for i in range(N)]),
    ],
    ids=["null", "NA", "dictionary", "whole numbers", "-1", "truth values"],
)
def test_a_missing_label_in_parquet_is_refused_and_can_be_left_out(tmp_path, labels):
    table = frame([0] * N)
    pq.write_table(pa.table({"a": table["a"], "b": table["b"], "y": labels}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="2 of 24 labels are missing"):
        raw(tmp_path)
    found = raw(tmp_path, missing="drop")
    present = [value for i, value in enumerate(labels.to_pylist()) if i not in GONE]
    known = sorted({*present})
    assert found.targets.tolist() == [known.index(value) for value in present]


def test_a_float_column_with_nan_is_missing_and_not_a_fraction(tmp_path):
    table = pa.table({"a": np.zeros(N), "b": np.arange(N), "y": [float("nan"), *[1.0, 2.0] * 11, 2.0]})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(DataError, match="1 of 24 labels are missing"):
        raw(tmp_path, task="cross_entropy")


def test_minus_one_among_few_classes_is_a_class(tmp_path):
    for labels in ([-1, 1] * 12, [-1, 0, 1] * 8):
        assert raw(written(tmp_path, frame(labels))).outputs == len({*labels})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_missing_feature_is_refused_and_can_be_left_out(tmp_path, suffix):
    table = frame(words("w"))
    table.loc[GONE[:1], "a"] = np.nan
    path = written(tmp_path, table, suffix, **({"na_rep": "?"} if suffix == "csv" else {}))
    with pytest.raises(
        DataError, match=r"data.inputs=a \(train\): 1 of 24 values are missing \(data.missing=drop"
    ):
        raw(path)
    found = raw(path, missing="drop")
    assert len(found.inputs) == N - 1
    assert found.inputs[:, 1].tolist() == [i for i in range(N) if i != GONE[0]]


def test_images_that_are_missing_are_refused_and_can_be_left_out(tmp_path, write_images):
    folder = write_images(tmp_path, train=(np.arange(36).reshape(4, 3, 3), [0, 1, 0, 1]))
    table = pq.read_table(tmp_path / "train.parquet")
    rows = table["image"].to_pylist()
    for hole in (None, {"bytes": None, "path": None}):
        image = pa.array([rows[0], hole, *rows[2:]], table["image"].type)
        pq.write_table(table.set_column(0, table.schema.field(0), [image]), tmp_path / "train.parquet")
        with pytest.raises(DataError, match="image 1 is missing"):
            raw(folder, inputs="image", target="label")
        found = raw(folder, inputs="image", target="label", missing="drop")
        assert (found.inputs[:, 0, 0, 0].tolist(), found.targets.tolist()) == ([0, 18, 27], [0, 0, 1])


def test_spaces_around_a_label_are_no_part_of_it(tmp_path):
    plain = raw(written(tmp_path, frame(words("w"))))
    spaced = [f" {label} " if i % 5 == 0 else label for i, label in enumerate(words("w"))]
    found = raw(written(tmp_path, frame(spaced)))
    assert (found.outputs, found.digest) == (3, plain.digest)
    assert any("spaces around labels" in note for note in found.notes)


def test_labels_that_differ_in_capitals_only_are_doubted(tmp_path):
    found = raw(written(tmp_path, frame(["u", "U"] * 12)))
    assert found.outputs == 2
    assert "differ in capitals only" in found.doubts[0]
    assert raw(written(tmp_path, frame(["u", "v"] * 12))).doubts == ()
