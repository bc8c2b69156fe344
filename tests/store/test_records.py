"""Records: what is written is read, what is unknown stays, what is old is brought up to date."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc.core.errors import StoredFileError
from lmc.store import files, records
from lmc.store.migrations import FORMAT

OLD = Path(__file__).parents[1] / "fixtures" / "outputs-4640cb5"
STORED = sorted([*OLD.glob("*/*/settings.yaml"), *OLD.glob("*/*/*/run.json")])
KINDS = {"train": records.Train, "merge": records.Merge, "reproduce": records.Reproduce}
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.text("abc", max_size=3)
GROUP = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), PLAIN | st.lists(PLAIN, max_size=2), max_size=3
)
SAMPLES = {
    "job": records.Job(
        command="path", runs=["a/0/1", "a/1/1"], pairs=[["a/0/1", "a/1/1"]], settings={"k": 1}
    ),
    "reproduce": records.Reproduce(experiment="digits", size="tiny", definition={"runs": {"seeds": 2}}),
    "run": records.RunInfo(status="done", seconds=1.5, model={"name": "mlp", "keywords": {}}, seed=3),
}


def _file(folder, record):
    return folder / (records.INFO if isinstance(record, records.RunInfo) else records.SETTINGS)


@pytest.fixture
def samples(train_record, merge_record):
    import_ = {**train_record().content(), "imported": ["/a.pt"]}
    kept = {
        key: import_[key] for key in import_ if key not in ("training", "init_seed", "order_seed", "start")
    }
    made = {"train": train_record(), "merge": merge_record(), "import": records.Import(**kept)}
    assert {**made, **SAMPLES}.keys() == records.KINDS.keys()
    return {**made, **SAMPLES}


@given(unknown=st.dictionaries(st.text("xyz", min_size=1, max_size=4), PLAIN | GROUP, max_size=3))
@pytest.mark.parametrize("kind", SAMPLES)
def test_what_is_written_is_read_with_keys_nobody_knows(kind, unknown, tmp_path_factory):
    record = replace(SAMPLES[kind], unknown=unknown)
    path = _file(tmp_path_factory.mktemp("record"), record)
    records.write(path, record)
    assert records.read(path) == record
    records.write(path, records.read(path))
    assert records.read(path).unknown == unknown


def test_every_kind_says_what_it_is(samples, tmp_path):
    for kind, record in samples.items():
        path = _file(tmp_path / kind, record)
        records.write(path, record)
        read = files.read_json if path.suffix == ".json" else files.read_yaml
        assert read(path)["kind"] == kind
        assert records.read(path) == record


@pytest.mark.parametrize("path", STORED, ids=lambda path: "-".join(path.parts[-3:-1])[-40:])
def test_what_commit_4640cb5_wrote_is_read_and_nothing_is_lost(path, tmp_path):
    record = records.read(path)
    if path.suffix == ".json":
        assert isinstance(record, records.RunInfo)
    else:
        kind = path.parts[-3]
        imported = "theirs" in path.parts[-2]
        assert type(record) is (records.Import if imported else KINDS.get(kind, records.Job))
    before = (files.read_json if path.suffix == ".json" else files.read_yaml)(path)
    content = record.content()
    inside = {**content, **content.get("settings", {}), **content.get("definition", {})}
    dropped = {"command"} if isinstance(record, records.Reproduce) else {"format"}
    assert {key: value for key, value in before.items() if key not in dropped} == {
        key: inside[key] for key in before if key not in dropped
    }
    assert not record.unknown
    copy = tmp_path / path.name
    records.write(copy, record)
    assert records.read(copy) == record


@pytest.mark.parametrize(
    ("how", "runs", "pairs"),
    [
        ("disjoint", ["a/10/1", "a/2/1"], [["a/2/1", "a/10/1"]]),
        ("all", ["a/0/1", "a/1/1", "a/2/1"], [["a/0/1", "a/1/1"], ["a/0/1", "a/2/1"], ["a/1/1", "a/2/1"]]),
        ("consecutive", ["a/0/1", "a/1/1", "a/2/1"], [["a/0/1", "a/1/1"], ["a/1/1", "a/2/1"]]),
        ("all", ["a/0/1", "a/1/1", "b/0/1", "b/1/1"], [["a/0/1", "a/1/1"], ["b/0/1", "b/1/1"]]),
        ("disjoint", ["a/0/1", "b/0/1"], [["a/0/1", "b/0/1"]]),
    ],
)
def test_the_pairs_of_an_old_job_are_those_its_experiments_form(tmp_path, how, runs, pairs):
    path = tmp_path / "match" / "x" / records.SETTINGS
    files.write_yaml(path, {"command": "match", "runs": runs, "pairs": how})
    record = records.read_as(records.Job, path)
    assert record.pairs == pairs


def test_a_file_of_a_later_version_is_refused(samples, tmp_path):
    for kind, record in samples.items():
        path = _file(tmp_path / kind, record)
        content = {"kind": kind, "format": FORMAT + 1}
        (files.write_json if path.suffix == ".json" else files.write_yaml)(path, content)
        with pytest.raises(StoredFileError, match=r"later lmc.*update lmc") as error:
            records.read(path)
        assert str(path.parent) in str(error.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"runs": None}, "runs=None"),
        ({"settings": [1]}, "settings="),
        ({"kind": "jbo"}, "kind=jbo"),
        ({"format": "new"}, "format=new"),
        ({"command": 3, "pairs": "all"}, "command=3; pairs='all'"),
    ],
)
def test_damage_is_named(tmp_path, change, text):
    path = tmp_path / records.SETTINGS
    content = {"kind": "job", "format": FORMAT, **SAMPLES["job"].content(), **change}
    files.write_yaml(path, content)
    with pytest.raises(StoredFileError) as error:
        records.read(path)
    assert str(path) in str(error.value)
    assert text in str(error.value)


def test_all_that_is_missing_is_named_and_the_kind_must_be_the_one_expected(tmp_path):
    path = tmp_path / records.SETTINGS
    files.write_yaml(path, {"kind": "job", "format": FORMAT, "command": "path"})
    with pytest.raises(StoredFileError, match="lacks runs, settings"):
        records.read(path)
    records.write(path, SAMPLES["job"])
    with pytest.raises(StoredFileError, match="kind job"):
        records.read_as(records.Made, path)
