"""A file is there whole or not at all; a damaged one is named."""

import os

import pandas as pd
import pytest
import torch

from lmc.core.errors import OutputError, StoredFileError
from lmc.store import files

WRITERS = {
    "json": (files.write_json, files.read_json, {"a": [1, 2.5, None], "b": {"c": "x"}}, {"a": 2}),
    "yaml": (files.write_yaml, files.read_yaml, {"b": [1, 2.5, None], "a": {"c": "x"}}, {"a": 2}),
    "safetensors": (
        files.write_tensors,
        files.read_tensors,
        {"w": torch.arange(6.0).view(2, 3).mT},
        {"w": torch.ones(1)},
    ),
    "parquet": (
        files.write_table,
        files.read_table,
        pd.DataFrame({"a": [1, 2], "s": ["x", "y"]}),
        pd.DataFrame({"a": [5]}),
    ),
}


def _equal(one, other):
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    if any(isinstance(value, torch.Tensor) for value in one.values()):
        return {*one} == {*other} and all(torch.equal(one[name], other[name]) for name in one)
    return one == other and [*one] == [*other]


@pytest.mark.parametrize("kind", WRITERS)
def test_what_was_written_is_read_and_the_last_wins(kind, tmp_path):
    write, read, content, later = WRITERS[kind]
    path = tmp_path / "deep" / "er" / f"file.{kind}"
    write(path, content)
    assert _equal(read(path), content)
    write(path, later)
    assert _equal(read(path), later)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_failure_leaves_the_old_file_and_no_other(kind, tmp_path, monkeypatch):
    write, read, content, later = WRITERS[kind]
    path = tmp_path / f"file.{kind}"
    write(path, content)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        write(path, later)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 1
    assert _equal(read(path), content)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_inside_passes_through_and_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def fail():
        with files.replacing(path) as temporary:
            temporary.write_text("half of the n")
            assert path.read_text() == "old"
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_that_cannot_be(kind, tmp_path):
    (tmp_path / "file").write_text("")
    write, _, content, _ = WRITERS[kind]
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "file" / "below" / f"x.{kind}", content)


def test_outputs_are_tried_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="is a file"):
            files.check_writable(folder)
    files.check_writable(tmp_path / "new" / "folder")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_damaged_file_is_named(kind, tmp_path):
    write, read, content, _ = WRITERS[kind]
    path = tmp_path / f"file.{kind}"
    write(path, content)
    whole = path.read_bytes()
    damages = [b"", b"\xff\xfe\x00garbage", b"[1, 2"] + (
        [whole[: len(whole) // 2], whole[:-1]] if kind in ("safetensors", "parquet") else []
    )
    for damaged in damages:
        path.write_bytes(damaged)
        with pytest.raises(StoredFileError) as caught:
            read(path)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(StoredFileError):
        read(path)


@pytest.mark.parametrize(
    ("read", "text"),
    [(files.read_json, "[1, 2]"), (files.read_json, "3"), (files.read_yaml, "- 1"), (files.read_yaml, "x")],
)
def test_what_is_no_mapping_is_damaged(tmp_path, read, text):
    (tmp_path / "file").write_text(text)
    with pytest.raises(StoredFileError):
        read(tmp_path / "file")
