"""A name says what a run is; the hash depends on that and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc.store.identity import (
    HASH,
    Chosen,
    differing,
    experiment_name,
    fingerprint,
    hash_of,
    identify,
    readable,
    stem_of,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def _reversed(value):
    if isinstance(value, dict):
        return {key: _reversed(inner) for key, inner in reversed(value.items())}
    return [_reversed(inner) for inner in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_the_fingerprint_does_not_depend_on_the_order_of_keys(content):
    assert fingerprint(content) == fingerprint(_reversed(content))
    assert re.fullmatch("[0-9a-f]{8}", fingerprint(content))


def test_the_fingerprint_depends_on_everything_else():
    contents = [
        {},
        {"a": 1},
        {"a": 2},
        {"b": 1},
        {"a": [1]},
        {"a": [1, 2]},
        {"a": [2, 1]},
        {"a": {"b": 1}},
        {"a": None},
        {"a": "1"},
    ]
    assert len({fingerprint(content) for content in contents}) == len(contents)


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        ({}, "44136fa3"),
        ({"variant": {"name": "w", "scale": [1.0, 0.5]}, "epochs": 30}, "fc18cbb6"),
        ({"data": "ac3152da", "model": {"hidden": [256, 256], "bias": True}, "start": None}, "039a667c"),
    ],
)
def test_fingerprints_are_pinned(content, digest):
    """A change here renames every stored run: don't."""
    assert fingerprint(content) == digest


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, ""),
        ({"scale": 0.5}, "scale0.5"),
        ({"scale": 1.0, "num_fixed": 8}, "scale1-numfixed8"),
        ({"num_fixed": [4, 4, 8]}, "numfixed4x4x8"),
        ({"scale": [0.5, 0.5]}, "scale0.5"),
        ({"hidden": [64]}, "hidden64"),
        ({"bias": False, "nesterov": True}, "biasoff-nesterov"),
        ({"lr": 1e-4, "norm": "batch"}, "lr0.0001-normbatch"),
        ({"clip": None}, "clipNone"),
    ],
)
def test_readable_forms(changed, text):
    assert readable(changed) == text
    name = experiment_name("digits-mlp-w", changed, "1f3a9c02")
    assert name == f"digits-mlp-w{'-' if text else ''}{text}-1f3a9c02"
    assert stem_of(name) == f"digits-mlp-w{'-' if text else ''}{text}"


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=6), st.text(min_size=1, max_size=30))
def test_every_name_is_a_safe_folder_name(changed, stem):
    name = experiment_name(stem, changed, "0123abcd")
    assert re.fullmatch(r"[A-Za-z0-9.+_-]*-0123abcd", name)
    assert len(name) <= 109
    assert HASH.search(name)


def test_only_what_differs_from_the_defaults():
    defaults = {"scale": 1.0, "num_fixed": None}
    assert differing({"scale": 1, "num_fixed": None}, defaults) == {}
    assert differing({"num_fixed": 3, "scale": 1.0, "new": 0}, defaults) == {"num_fixed": 3, "new": 0}


KEYS = st.text("abcd", min_size=1, max_size=3)
SETTINGS = st.dictionaries(KEYS, st.integers(-3, 3), max_size=4)


def _identity(settings, defaults, plain=None, usual=None):
    """Of a builder with these defaults, as ``Choice.bind`` completes its settings."""
    complete = {**defaults, **settings}
    chosen = Chosen("builder", differing(complete, defaults), "usual")
    return identify({"runs": ["e/0/1"]}, {"match": chosen}, {**(usual or {}), **(plain or {})}, usual)


@given(SETTINGS, SETTINGS, st.text("xyz", min_size=1, max_size=3), st.integers())
def test_a_keyword_added_with_a_default_renames_nothing(settings, defaults, key, value):
    before = _identity(settings, defaults)
    assert _identity(settings, {**defaults, key: value}) == before
    assert _identity({}, {}, settings, {**settings, **defaults, key: value}) == _identity(
        {}, {}, settings, {**settings, **defaults}
    )


@given(SETTINGS, SETTINGS, SETTINGS, SETTINGS)
def test_typing_a_default_or_another_order_renames_nothing(settings, defaults, plain, usual):
    identity = _identity(settings, defaults, plain, usual)
    assert _identity({**defaults, **settings}, defaults, {**usual, **plain}, usual) == identity
    turned = [dict(reversed(each.items())) for each in (settings, defaults, plain, usual)]
    assert _identity(*turned).digest == identity.digest


@given(SETTINGS, SETTINGS, KEYS, st.sampled_from(["group", "plain", "facts", "name"]))
def test_any_changed_value_is_another_thing(settings, defaults, key, where):
    identity = _identity(settings, defaults, settings, defaults)
    value = {**defaults, **settings}.get(key, 0) + 1
    if where == "group":
        other = _identity({**settings, key: value}, defaults, settings, defaults)
    elif where == "plain":
        other = _identity(settings, defaults, {**settings, key: value}, defaults)
    elif where == "facts":
        other = identify({**identity.content, "runs": ["e/1/1"]})
    else:
        chosen = Chosen("other", differing(settings, defaults), "usual")
        other = identify({"runs": ["e/0/1"]}, {"match": chosen}, {**defaults, **settings}, defaults)
    assert other.digest != identity.digest
    assert other.name("stem") != identity.name("stem")


@given(st.text("ab-", max_size=9))
def test_hash_and_readable_part_make_up_a_name(stem):
    name = f"{stem}-0123abcd"
    assert (stem_of(name), hash_of(name)) == (stem, "0123abcd")
    assert hash_of(stem) == ""
