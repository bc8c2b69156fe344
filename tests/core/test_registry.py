"""Settings bound to a builder's own signature."""

import importlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from lmc.core import registry
from lmc.core.errors import RunReferenceError, SettingError, raise_together

Share = Annotated[float, Field(ge=0, le=1)]


def builder(
    model: object,
    *,
    needed: int,
    scale: float | list[float] = 1.0,
    kind: Literal["alpha", "beta", "gamma"] = "alpha",
    flag: bool = False,
    share: Share = 0.5,
    word: str | None = None,
    shares: list[Share] = [],  # noqa: B006
    anything: Any = None,
):
    return locals()


DEFAULTS = {
    "scale": 1.0,
    "kind": "alpha",
    "flag": False,
    "share": 0.5,
    "word": None,
    "shares": [],
    "anything": None,
}


def _bind(**settings):
    return registry.bind(builder, {"needed": 1, **settings}, "group", ("model",))


def _refused(**settings):
    with pytest.raises(SettingError) as caught:
        _bind(**settings)
    return str(caught.value)


def test_complete_and_in_the_signatures_own_order():
    assert _bind() == {"needed": 1, **DEFAULTS}
    assert [*_bind(word="x", scale=2)] == ["needed", *DEFAULTS]
    assert registry.defaults(builder, ("model",)) == DEFAULTS
    assert [*registry.parameters(builder, ("model",))] == ["needed", *DEFAULTS]


@dataclass(frozen=True)
class Draws:
    count: Annotated[int, Field(ge=1)]
    seed: int = 0


def grouped(model: object, *, first: int = 1, draws: Draws = Draws(20), last: str = "x"):
    return locals()


def common(name: str, *, share: Share = 0.5):
    raise AssertionError("only its signature is used")


def test_a_group_stands_for_its_fields_with_the_builders_own_defaults():
    assert registry.defaults(grouped, ("model",)) == {"first": 1, "count": 20, "seed": 0, "last": "x"}
    bound = registry.bind(grouped, {"seed": 3.0, "last": "y"}, "", ("model",))
    assert bound == {"first": 1, "count": 20, "seed": 3, "last": "y"}
    called = grouped(0, **registry.keywords(grouped, bound))
    assert called == {"model": 0, "first": 1, "draws": Draws(20, 3), "last": "y"}
    assert grouped(0, **registry.keywords(grouped, {"count": 5}))["draws"] == Draws(5)
    with pytest.raises(SettingError, match=r"^data\.count=0: should be greater than or equal to 1$"):
        registry.bind(grouped, {"count": 0}, "data", ("model",))
    with pytest.raises(SettingError, match=r"^data\.draws: unknown key"):
        registry.bind(grouped, {"draws": Draws(1)}, "data", ("model",))


def test_shared_settings_come_after_the_builders_own():
    assert registry.defaults(grouped, ("model",), common) == {
        "first": 1,
        "count": 20,
        "seed": 0,
        "last": "x",
        "share": 0.5,
    }
    with pytest.raises(SettingError) as caught:
        registry.bind(grouped, {"share": 2, "name": "x", "count": "y"}, "data", ("model",), common)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["data.count=y", "data.share=2", "data.name"]


def test_a_default_handed_out_is_nobodys_elses():
    registry.defaults(builder, ("model",))["shares"].append(1.0)
    _bind()["shares"].append(1.0)
    assert _bind()["shares"] == registry.defaults(builder, ("model",))["shares"] == []


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ({"needed": 3.0}, {"needed": 3}),
        ({"needed": "3"}, {"needed": 3}),
        ({"scale": 1}, {"scale": 1.0}),
        ({"scale": [1, 0.5]}, {"scale": [1.0, 0.5]}),
        ({"flag": "true"}, {"flag": True}),
        ({"word": 7}, {"word": "7"}),
        ({"share": 0}, {"share": 0.0}),
        ({"anything": True}, {"anything": True}),
    ],
)
def test_values_take_the_type_they_mean(given, bound):
    (key, value), found = *bound.items(), _bind(**given)
    assert repr(found[key]) == repr(value)


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        (
            {"scael": 2},
            ["group.scael: unknown key", "did you mean scale?", "valid keys: needed, scale, kind"],
        ),
        ({"zzz": 2}, ["group.zzz: unknown key", "valid keys:"]),
        ({"model": 2}, ["group.model: unknown key"]),
        ({"kind": "bete"}, ["group.kind=bete: expected one of alpha, beta, gamma", "did you mean beta?"]),
        ({"kind": "q"}, ["group.kind=q: expected one of alpha, beta, gamma"]),
        ({"needed": 2.5}, ["group.needed=2.5: expected a whole number"]),
        ({"needed": "two"}, ["group.needed=two: expected a whole number"]),
        ({"needed": None}, ["group.needed=None: expected a whole number"]),
        ({"scale": "big"}, ["expected a number or a list (each a number)"]),
        ({"flag": 2}, ["group.flag=2: expected true or false"]),
        ({"share": 1.5}, ["group.share=1.5: should be less than or equal to 1"]),
        ({"share": float("nan")}, ["group.share=nan"]),
        ({"shares": [0.5, -1]}, ["should be greater than or equal to 0"]),
        ({"needed": True}, ["group.needed=True: expected a whole number, got true/false"]),
        ({"scale": False}, ["group.scale=False", "got true/false"]),
        ({"scale": [1.0, True]}, ["group.scale=[1.0, True]", "got true/false"]),
        ({"word": True}, ["got true/false"]),
    ],
)
def test_a_fault_is_named_with_what_would_be_right(given, texts):
    message = _refused(**given)
    assert all(text in message for text in texts), message
    assert "Traceback" not in message


def test_no_near_miss_where_nothing_is_near():
    assert "did you mean" not in _refused(zzz=2)
    assert "did you mean" not in _refused(kind="q")


def test_all_faults_together_a_line_each():
    with pytest.raises(SettingError) as caught:
        registry.bind(
            builder, {"scael": 1, "kind": "bete", "share": 2, "flag": 7, "word": False}, "group", ("model",)
        )
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    for key in ("scael", "kind", "share", "flag", "word", "needed"):
        assert sum(f"group.{key}" in line for line in lines) == 1
    assert "group.needed: a value is needed (write group.needed=...)" in lines


def test_without_a_group_keys_stand_alone():
    with pytest.raises(SettingError, match=r"^scael: unknown key"):
        registry.bind(builder, {"scael": 1, "needed": 1}, given=("model",))


def test_choices_by_name():
    builders = {"one": builder}
    assert registry.find(builders, "one", "kind") is builder
    assert registry.bind_choice(builders, {"name": "one", "needed": 2}, "kind", ("model",))["needed"] == 2
    with pytest.raises(
        SettingError, match=r"kind=onne: unknown choice \(did you mean one\? choose from one\)"
    ):
        registry.find(builders, "onne", "kind")
    with pytest.raises(SettingError, match=r"kind=x: unknown choice \(there are none\)"):
        registry.find({}, "x", "kind")


def test_names_by_patterns_in_their_own_order_each_once():
    names = ["stem", "layers.0", "layers.1", "head"]
    assert registry.matching("*", names, "layer") == names
    assert registry.matching(["head", "layers.*", "*.0"], names, "layer") == ["layers.0", "layers.1", "head"]
    assert registry.matching([], names, "layer") == []


def test_a_pattern_without_a_name_is_refused_with_the_names_there_are():
    refused = r"^layers=norm\.\*: matches no layer \(there are: stem, head\)$"
    with pytest.raises(SettingError, match=refused):
        registry.matching(["stem", "norm.*"], ["stem", "head"], "layer")
    with pytest.raises(SettingError, match=r"^stem\?: cannot be cut$"):
        registry.matching(
            "stem?", ["stem"], "layer", lambda pattern: SettingError(f"{pattern}: cannot be cut")
        )
    assert registry.matching(["*", "stem"], [], "layer", lambda pattern: None) == []


def test_a_builder_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "lmc_own_builders.py").write_text("def net(*, depth: int = 3):\n    return depth\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    own = registry.find({}, "lmc_own_builders:net", "model")
    assert registry.bind(own, {}) == {"depth": 3}
    assert registry.is_own_code("lmc_own_builders:net")
    assert not registry.is_own_code("mlp")
    for missing in ("lmc_own_builders:nets", "lmc_no_such_module:net"):
        with pytest.raises(SettingError, match=f"model.name={missing}.*write package.module:function"):
            registry.find({}, missing, "model")


def test_faults_are_raised_once_each_and_none_is_no_error():
    raise_together([])
    faults = [SettingError("a", "b"), RunReferenceError("c"), SettingError("a", "b")]
    with pytest.raises(SettingError, match=r"^a \(b\)\nc$"):
        raise_together(faults)


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("lmc.data", "DATASETS"),
        ("lmc.models", "MODELS"),
        ("lmc.variants", "VARIANTS"),
        ("lmc.matching", "MATCHERS"),
        ("lmc.merging", "MERGERS"),
        ("lmc.jobs.measuring.paths", "PATHS"),
    ],
)
def test_the_names_in_the_source_are_those_of_the_registry(room, name):
    assert registry.registered(room, name) == [*getattr(importlib.import_module(room), name)]


def test_the_names_are_read_without_the_room():
    code = (
        "import sys\n"
        "from lmc.core.registry import registered\n"
        "assert 'mean' in registered('lmc.merging', 'MERGERS')\n"
        "assert not {'torch', 'lmc.merging'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "source", ["OTHERS = {'one': 1}", "ALL = dict(one=1)", "ALL = {**OTHERS}", "ALL = {1: 2}", "ALL: dict"]
)
def test_a_registry_is_a_dict_literal_or_an_error(source, tmp_path, monkeypatch):
    room = f"lmc_room_{abs(hash(source))}"
    (tmp_path / f"{room}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=rf"{room}\.ALL: not a dict literal"):
        registry.registered(room, "ALL")
