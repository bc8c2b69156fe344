"""One way to write a file, for every room: whole or not at all."""

import os

import pytest

from lmc.core.errors import OutputError
from lmc.core.files import replacing


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "below" / "file"
    with replacing(path) as temporary:
        temporary.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert str(os.getpid()) in temporary.name
    assert path.read_text() == "new"
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize(
    ("hint", "end"), [("", "No space left on device$"), ("elsewhere", r"\(elsewhere\)$")]
)
def test_a_full_disk_is_named_with_the_file_and_the_hint(tmp_path, hint, end):
    path = tmp_path / "file"
    path.write_text("old")

    def fail():
        with replacing(path, hint) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=f"file: cannot be written: .*{end}"):
        fail()
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "old"


def test_a_folder_that_is_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"), replacing(tmp_path / "file" / "below"):
        pass
