"""One table in many dialects of text is one data set."""

import gzip

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import lmc.data
from lmc.core.errors import DataError
from lmc.data import delimited

IRIS = load_iris(as_frame=True).frame
IRIS.columns = ["größe", "b", "c", "d", "y"]
IRIS["y"] = IRIS["y"].map({0: "blüte", 1: "café", 2: "x"})
WANTED = IRIS[["größe", "b"]].to_numpy(np.float32)


def raw(path):
    return lmc.data.DATASETS["hub"](path=str(path), inputs=["größe", "b"], target="y")


DIALECTS = {
    "plain": ({}, "utf-8", ()),
    "BOM": ({}, "utf-8-sig", ()),
    "Latin-1": ({}, "latin-1", ("train.csv: not UTF-8, so its text is taken as Latin-1",)),
    "UTF-16": ({}, "utf-16", ()),
    "semicolons": ({"sep": ";"}, "utf-8", ("train.csv: columns separated by semicolons",)),
    "tabs": ({"sep": "\t"}, "utf-8", ("train.csv: columns separated by tabs",)),
    "decimal commas": (
        {"sep": ";", "decimal": ","},
        "utf-8",
        ("train.csv: columns separated by semicolons, decimal commas",),
    ),
    "quoted": ({"quoting": 1, "lineterminator": "\r\n"}, "utf-8", ()),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_changes_nothing(tmp_path, name):
    options, encoding, said = DIALECTS[name]
    text = IRIS.to_csv(index=False, **options)
    (tmp_path / "train.csv").write_bytes(text.encode(encoding))
    found = raw(tmp_path)
    assert np.array_equal(found.inputs.numpy(), WANTED)
    assert found.targets.tolist() == [0] * 50 + [1] * 50 + [2] * 50
    assert found.notes[:-1] == said
    assert "3 classes, blüte, café, x" in found.notes[-1]


def test_compressed_and_differently_named_files_are_read(tmp_path):
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(IRIS.to_csv(index=False).encode()))
    assert np.array_equal(raw(tmp_path).inputs.numpy(), WANTED)
    IRIS.to_csv(tmp_path / "iris.data", index=False, sep="|")
    assert np.array_equal(raw(tmp_path / "iris.data").inputs.numpy(), WANTED)
    IRIS.to_parquet(tmp_path / "iris.pq")
    assert np.array_equal(raw(tmp_path / "iris.pq").inputs.numpy(), WANTED)


def test_names_of_columns_lose_the_spaces_around_them(tmp_path):
    text = IRIS.to_csv(index=False).replace(",", ", ")
    (tmp_path / "train.csv").write_text(text)
    found = raw(tmp_path)
    assert np.array_equal(found.inputs.numpy(), WANTED)
    assert found.outputs == 3


@pytest.mark.parametrize(
    ("cells", "decimal"),
    [
        (["1,5", "2,25"], ","),
        (["0,125", "0,250"], ","),
        (["1,234", "5,678"], "."),
        (["1,5", "2.5"], "."),
        (["1.5", "2.5"], "."),
    ],
)
def test_a_comma_is_decimal_only_where_it_can_be_nothing_else(tmp_path, cells, decimal):
    (tmp_path / "t.csv").write_text("a;b\n" + "".join(f"{cell};{cell}\n" for cell in cells))
    assert delimited.dialect(tmp_path / "t.csv") == delimited.Dialect("utf-8", ";", decimal)


def test_thousands_are_refused_rather_than_read_as_fractions(tmp_path):
    table = pd.DataFrame({"größe": ["1,234", "5,678"], "b": [1, 2], "y": ["u", "v"]})
    for sign in (";", ","):
        table.to_csv(tmp_path / "train.csv", index=False, sep=sign)
        with pytest.raises(DataError, match="words, not numbers: 1,234, 5,678"):
            raw(tmp_path)


def test_a_file_without_a_header_is_refused_with_the_reason(tmp_path):
    IRIS.to_csv(tmp_path / "train.csv", index=False, header=False)
    with pytest.raises(DataError, match="give the file a first line that names the columns"):
        raw(tmp_path)


def test_json_is_refused_by_name(tmp_path):
    (tmp_path / "iris.json").write_text(IRIS.to_json(orient="records"))
    with pytest.raises(DataError, match=r"iris\.json is JSON, which is not read"):
        raw(tmp_path / "iris.json")


def test_zero_bytes_and_rows_of_unequal_length_are_refused(tmp_path):
    (tmp_path / "train.csv").write_bytes("größe,b,y\n1,2,u\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="zero bytes"):
        raw(tmp_path)
    (tmp_path / "train.csv").write_text("größe,b,y\n1,2,u\n1,2\n")
    with pytest.raises(DataError, match=r"train\.csv cannot be read: .*Expected 3 columns, got 2"):
        raw(tmp_path)


def test_a_header_that_lacks_a_name_is_not_taken_for_another_separator(tmp_path):
    (tmp_path / "train.csv").write_text("größe;y\n1;2,5;u\n2;3,5;v\n3;4,5;u\n")
    with pytest.raises(DataError, match="Expected 2 columns, got 3"):
        raw(tmp_path)


def test_a_split_in_another_format_is_not_lost(tmp_path):
    IRIS.to_parquet(tmp_path / "train.parquet")
    IRIS.to_csv(tmp_path / "train.csv", index=False)
    assert len(raw(tmp_path).inputs) == 150
    IRIS.to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError, match=r"test\.csv lies beside train\.parquet"):
        raw(tmp_path)
