"""Where things lie, and under which name."""

import os

import pytest

from lmc.store import records
from lmc.store.identity import Chosen, identify
from lmc.store.layout import Store

IDENTITY = identify({"runs": ["a"]}, {"match": Chosen("activation", {"tau": 2.0}, "none")})


@pytest.fixture
def store(tmp_path, train_record, merge_record):
    store = Store(tmp_path / "outputs")
    store.experiment("train", "a-11111111").write(train_record(), {})
    store.experiment("train", "a-11111111").run(2).write_info(status="done")
    store.experiment("merge", "a+mean-22222222").write(merge_record(), {})
    return store


def _job(store, command, name, time=0, **settings):
    folder = store.job(command, name)
    records.write(folder / records.SETTINGS, records.Job(command=command, runs=["a/0/1"], settings=settings))
    os.utime(folder / records.SETTINGS, (time, time))
    return folder


def test_everything_is_found_where_it_lies(store):
    jobs = [_job(store, "path", "y-1", 2), _job(store, "match", "x-1", 3), _job(store, "path", "z-1", 1)]
    assert [(each.kind, each.name) for each in store.experiments()] == [
        ("train", "a-11111111"),
        ("merge", "a+mean-22222222"),
    ]
    assert [folder for folder, _ in store.jobs()] == [jobs[2], jobs[0], jobs[1]]
    assert {store.kind_of(folder) for folder in store.folders()} == {"train", "merge", "path", "match"}
    assert [*store.runs_of("a-11111111")] == [2]
    assert store.resolve("a")[0].runs[0].reference == "a-11111111/2"
    for folder in store.folders():
        assert Store.around(folder) == store


def test_an_empty_store_has_nothing_and_makes_nothing(tmp_path):
    store = Store(tmp_path / "none")
    assert (store.experiments(), store.jobs(), store.folders()) == ([], [], [])
    assert store.name("path", "a", IDENTITY, lambda record: True) == IDENTITY.name("a")
    assert not store.root.exists()


def test_the_same_under_another_hash_keeps_its_name(store):
    _job(store, "path", "a-activation-33333333", tau=2.0)
    _job(store, "path", "b-activation-44444444", tau=2.0)
    (store.job("path", "a-broken") / "x").mkdir(parents=True)
    (store.job("path", "a-broken") / records.SETTINGS).write_text("{")
    same = lambda record: record.settings == {"tau": 2.0}  # noqa: E731
    assert store.name("path", "a", IDENTITY, same) == "a-activation-33333333"
    assert store.name("path", "c", IDENTITY, same) == IDENTITY.name("c")
    assert store.name("match", "a", IDENTITY, same) == IDENTITY.name("a")
    assert store.name("path", "a", IDENTITY, lambda record: False) == IDENTITY.name("a")


def test_a_thing_under_its_own_name_comes_first(store):
    own = IDENTITY.name("a")
    _job(store, "path", own)
    _job(store, "path", "a-33333333")
    assert store.name("path", "a", IDENTITY, lambda record: True) == own


def test_a_name_of_ones_own_is_another_thing(store):
    _job(store, "path", f"a-b-{IDENTITY.digest}")
    assert store.name("path", "a", IDENTITY, lambda record: False, say=False) == f"a-{IDENTITY.digest}"
    assert store.name("path", "a", IDENTITY, lambda record: False) == f"a-b-{IDENTITY.digest}"
