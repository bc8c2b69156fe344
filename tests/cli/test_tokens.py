"""Words of a command line: what is a reference, what a setting, and what survives Hydra's grammar."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc.cli.grammar import parse, text_keys
from lmc.cli.tokens import key_of, quote, quoted_list, split, value_of, with_own_builders
from lmc.core.errors import SettingError
from lmc.jobs.protocol.commands.running import Train

GROUPS = {"model": "mlp", "data": None}
plain = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30).filter(
    lambda text: "${" not in text
)


def read(text: str) -> object:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(text).value()


@given(plain)
def test_a_quoted_text_is_read_back(text: str) -> None:
    assert str(read(f"key={quote(text)}")) == text


@given(st.lists(plain, max_size=4))
def test_a_quoted_list_is_read_back(texts: list[str]) -> None:
    assert [str(item) for item in read(f"key={quoted_list(texts)}")] == texts


@given(st.lists(st.from_regex(r"\A[a-z][\w/@-]{0,8}(=[\w.]{0,4})?\Z"), max_size=6))
def test_every_word_is_a_reference_or_an_override(words: list[str]) -> None:
    found = split(words, [])
    assert sorted(found.references + found.overrides) == sorted(words)
    assert all("=" in word for word in found.overrides)
    assert not any("=" in word for word in found.references)


def test_overrides_and_references() -> None:
    found = split(["digits-mlp-w/0@3", "a.b=1", "+x=1", "++y.z=1", "~variant", "hydra/launcher=joblib"], [])
    assert found.references == ["digits-mlp-w/0@3"]
    assert found.overrides == ["a.b=1", "+x=1", "++y.z=1", "~variant", "hydra/launcher=joblib"]


def test_a_path_on_disk_is_a_reference_unless_it_is_a_key(tmp_path: Path) -> None:
    for name in ("lr=1", "seeds=2"):
        (tmp_path / name).mkdir()
    assert split([f"{tmp_path}/lr=1", "lr=1", "seeds=2", "lr=2"], ["seeds"]).references == [
        f"{tmp_path}/lr=1",
        "lr=1",
    ]


def test_key_and_value() -> None:
    assert key_of("++model.name=a=b") == "model.name"
    assert value_of("++model.name=a=b") == "a=b"


def test_open_groups_take_keys_and_no_choice() -> None:
    assert with_own_builders(["data.path=x"], GROUPS, "path") == ["++data.path=x"]
    with pytest.raises(SettingError, match=r"data=mnist: path takes keys of data, not a choice"):
        with_own_builders(["data=mnist"], GROUPS, "path")


def test_own_builder() -> None:
    expected = ["model=custom", "++model.name=p.m:f", "++model.depth=3"]
    assert with_own_builders(["model.name=p.m:f", "model.depth=3"], GROUPS, "train") == expected
    assert (
        with_own_builders(["model=custom", "model.name=p.m:f", "model.depth=3"], GROUPS, "train") == expected
    )
    assert with_own_builders(["model.name=resnet"], GROUPS, "train") == ["model=resnet"]
    with pytest.raises(SettingError, match="two choices of model"):
        with_own_builders(["model=mlp", "model.name=p.m:f"], GROUPS, "train")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name=1e5", "1e5"),
        ("name=007", "007"),
        ("name=true", "true"),
        ("data.path=/home/a b/x (1)", "/home/a b/x (1)"),
        ("data.path=../x", "../x"),
        ("data.path=2020", "2020"),
        ("data.path=it's (1)", "it's (1)"),
        ("name=null", None),
        ("seeds=[0,1]", [0, 1]),
        ("seeds=4", 4),
        ("training.learning_rate=1e-3", 1e-3),
    ],
)
def test_values(text: str, value: object) -> None:
    [override], faults = parse([text], text_keys(Train, ["data"]), sweep=False)
    assert not faults
    assert override.value() == value
    assert type(override.value()) is type(value) or isinstance(value, str)


def test_several_values_need_a_sweep() -> None:
    parsed, [fault] = parse(["seeds=0,1"], set(), sweep=False)
    assert not parsed
    assert str(fault) == "seeds=0,1: several values (add -m to run each, or write one list: seeds=[0,1])"
    assert not parse(["seeds=0,1"], set(), sweep=True)[1]


def test_keys_of_a_choice_without_a_yaml_are_additions() -> None:
    def bare(group: str) -> list[str]:
        return ["mine"] if group == "model" else []

    def read(*words: str) -> list[str]:
        return with_own_builders(words, GROUPS, "train", bare)

    for choice in ("model=mine", "model.name=mine"):
        assert read(choice, "model.depth=3") == ["model=mine", "++model.depth=3"]
    assert read("model=mlp,mine", "model.depth=3") == ["model=mlp,mine", "++model.depth=3"]
    assert read("model=mlp", "model.depth=3") == ["model=mlp", "model.depth=3"]
    assert read("model=miner", "model.depth=3") == ["model=miner", "model.depth=3"]
