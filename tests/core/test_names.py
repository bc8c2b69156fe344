"""Names of experiments, places on disk, and values as messages show them."""

from __future__ import annotations

import pytest

from lmc import jobs
from lmc.core.errors import SettingError
from lmc.core.names import LONGEST_NAME, check_name, check_place, shortened
from lmc.store.identity import experiment_name, stem_of

GOOD = ["a", "0", "mine", "w-0.5", "a+mean", "A_b.c", "x" * LONGEST_NAME, "1e5", "a_"]
BAD = [
    "",
    " ",
    "a b",
    "a/b",
    "../../x",
    "..",
    ".a",
    "-a",
    "a.",
    "a-",
    "ü",
    "日本",
    "é",
    "a\n",
    "a\\b",
    "a@3",
    "a*",
]
BAD += ["${x}", "com,ma", "x" * (LONGEST_NAME + 1), "~", "a:b", "٣"]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_becomes_the_folders_as_it_is(name: str) -> None:
    check_name(name)
    assert stem_of(experiment_name(name, {}, "0" * 8)) == name
    assert jobs.checked("train", {"name": name}).name == name  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["train", "import", "merge"])
def test_a_name_that_would_have_to_be_changed_is_refused(command: str, name: str) -> None:
    with pytest.raises(SettingError, match=r"^name=.*name has|^name=.*a name has at most") as caught:
        jobs.checked(command, {"name": name})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", [None, 5, {"a": 1}, ["a"], True])
def test_a_name_is_a_word(name: object) -> None:
    if name is None or name == 5:
        assert jobs.checked("train", {"name": name}).name == (None if name is None else "5")  # type: ignore[attr-defined]
    else:
        with pytest.raises(SettingError, match="expected a word"):
            jobs.checked("train", {"name": name})


@pytest.mark.parametrize(
    "place", ["", "a\nb", "a\x1b[31m", "é" * 200, "a" * 5000, "a/" * 600, "x/" + "9" * 900]
)
def test_a_place_that_cannot_be_is_refused_on_one_line(place: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_place(place)
    for given in ({"references": [place]}, {"references": ["a"], "outputs": place}):
        with pytest.raises(SettingError) as caught:
            jobs.checked("path", given)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 300


def test_other_places_are_left_alone() -> None:
    for place in ("a", "digits-*/0@3", "out puts/über/x", "com,ma", "${x}", "a" * 255):
        check_place(place)


def test_a_value_in_a_message_is_one_short_line() -> None:
    assert shortened("a\nb\x00") == r"a\nb\x00"
    assert shortened("ü") == "ü"
    assert len(shortened("9" * 5000)) < 90
    assert "5000" in shortened("9" * 5000)
