import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import lmc.data
from lmc.core.errors import DataError
from lmc.data import sources

ROWS = 12


@pytest.fixture
def table(tmp_path):
    """Writes columns as a parquet or CSV file; further keywords are splits of their own columns."""

    def write(columns, *, test=None, suffix="parquet"):
        folder = tmp_path / "table"
        folder.mkdir(exist_ok=True)
        for name, values in (("train", columns), ("test", test)):
            if values is None:
                continue
            built = pa.table(values)
            if suffix == "csv":
                from pyarrow import csv

                csv.write_csv(built, folder / f"{name}.csv")
            else:
                pq.write_table(built, folder / f"{name}.parquet")
        return str(folder)

    return write


def raw(path, inputs=("a", "b"), target="y", **settings):
    listed = list(inputs) if isinstance(inputs, tuple) else inputs
    return lmc.data.DATASETS["hub"](path=path, inputs=listed, target=target, **settings)


A = {"a": np.arange(ROWS), "b": np.linspace(0, 1, ROWS)}
LISTS = [[i, -i, 0.5] for i in range(ROWS)]
BITS = [[i % 2, 1] for i in range(ROWS)]

INFERRED = [
    ("words", ["b", "a", "c"] * 4, "cross_entropy", 3, [1, 0, 2]),
    ("whole numbers with gaps", [7, -2, 40] * 4, "cross_entropy", 3, [1, 0, 2]),
    ("truth values", [True, False, True] * 4, "cross_entropy", 2, [1, 0, 1]),
    ("fractions", [0.5, 1.0, 2.0] * 4, "squared_error", 1, [[0.5], [1.0], [2.0]]),
    ("lists of 0 and 1", [[0, 1], [1, 1], [1, 0]] * 4, "binary_cross_entropy", 2, [[0, 1], [1, 1], [1, 0]]),
    ("lists of numbers", [[0.5, 1], [1, 1], [1, 0]] * 4, "squared_error", 2, [[0.5, 1], [1, 1], [1, 0]]),
]


@pytest.mark.parametrize(
    ("what", "target", "task", "outputs", "first"), INFERRED, ids=[case[0] for case in INFERRED]
)
def test_the_task_follows_from_the_target(table, what, target, task, outputs, first):
    found = raw(table({**A, "y": target}))
    assert (found.task, found.outputs, found.targets[:3].tolist()) == (task, outputs, first)
    found.check("hub")


def test_several_columns_are_labels_or_values(table):
    path = table({**A, "p": [0, 1] * 6, "q": [1, 1] * 6})
    assert raw(path, target=["p", "q"]).task == "binary_cross_entropy"
    assert raw(path, target=["b", "q"], inputs="a").task == "squared_error"
    assert raw(path, target=["p"]).task == "cross_entropy"


def test_a_task_that_is_given_is_kept(table):
    path = table({**A, "y": [0, 1] * 6, "f": [0.0, 1.0] * 6, "h": [0.5, 1.0] * 6})
    for task in ("squared_error", "binary_cross_entropy"):
        assert (raw(path, task=task).task, raw(path, task=task).targets.shape) == (task, (ROWS, 1))
    assert raw(path, target="f", task="cross_entropy").outputs == 2
    with pytest.raises(DataError, match="holds fractions"):
        raw(path, target="h", task="cross_entropy")
    with pytest.raises(DataError, match="6 values are neither 0 nor 1"):
        raw(path, target="h", task="binary_cross_entropy")
    with pytest.raises(DataError, match="takes one column"):
        raw(path, target=["y", "f"], task="cross_entropy")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_columns_become_features_in_the_order_named(table, suffix):
    path = table({**A, "y": ["u", "v"] * 6}, suffix=suffix, test={"a": [100], "b": [0.25], "y": ["v"]})
    found = raw(path, inputs=("b", "a"))
    expected = torch.tensor(np.stack([A["b"], A["a"]], 1), dtype=torch.float32)
    torch.testing.assert_close(found.inputs, expected)
    assert (found.test_inputs.tolist(), found.test_targets.tolist()) == ([[0.25, 100.0]], [1])
    assert raw(path, inputs="a").inputs.shape == (ROWS, 1)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_column_of_lists_becomes_a_table(table, fixed):
    lists = pa.array(LISTS, pa.list_(pa.float32(), 3) if fixed else pa.list_(pa.float32()))
    found = raw(table({"x": lists, "y": [0.5] * ROWS}), inputs="x")
    assert torch.equal(found.inputs, torch.tensor(LISTS))
    nested = raw(table({"x": [[[i, 1], [2, 3]] for i in range(ROWS)], "y": [0.5] * ROWS}), inputs="x")
    assert nested.inputs.shape == (ROWS, 2, 2)
    assert nested.inputs[5].tolist() == [[5, 1], [2, 3]]


def test_loading_standardises_by_feature(table):
    data = lmc.data.load(
        "hub", path=table({**A, "y": [0.5] * ROWS}), inputs=["a", "b"], target="y", val_fraction=0
    )
    torch.testing.assert_close(data.train.inputs.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    assert data.task.name == "squared_error"


FAULTS = [
    (
        {**A, "y": [0, 1] * 6},
        {"inputs": "aa", "target": "z"},
        r"aa: no such column.*\n.*data.target=z: no such column.*a, b, y",
    ),
    ({**A, "y": [0, 1] * 6}, {"inputs": []}, "no column"),
    ({**A, "y": [0, 1] * 6}, {"inputs": "y"}, "also the target"),
    (
        {**A, "w": ["x"] * ROWS, "y": [0, 1] * 6},
        {"inputs": ("a", "w")},
        r"data.inputs=w \(train\): .*words, not numbers",
    ),
    (
        {**A, "y": [0, 1] * 6},
        {"inputs": ("a", "b"), "target": "y", "hole": 1},
        r"data.inputs=b \(train\): 2 of 12",
    ),
    ({**A, "y": [None, 1] * 6}, {}, "6 of 12 labels are missing"),
    ({**A, "y": [3] * ROWS}, {}, "one class only, 3"),
    ({**A, "y": [None, 0.5] * 6}, {}, "6 of 12 values are missing"),
    ({"a": [[1.0], [1.0, 2.0]] * 6, "y": [0, 1] * 6}, {"inputs": "a"}, "lists from 1 to 2"),
    ({"a": [[1.0], None] * 6, "y": [0, 1] * 6}, {"inputs": "a"}, "6 of 12 lists are missing"),
    ({"a": [["x"], ["y"]] * 6, "y": [0, 1] * 6}, {"inputs": "a"}, "words, not numbers"),
    (
        {"a": [1e300, 0.0] * 6, "y": [0, 1] * 6},
        {"inputs": "a"},
        "6 of 12 values are missing, NaN or infinite",
    ),
    ({"a": pa.array([], pa.float64()), "y": pa.array([], pa.int64())}, {"inputs": "a"}, "no rows"),
]


@pytest.mark.parametrize(("columns", "settings", "message"), FAULTS)
def test_faults_in_columns_are_named(table, columns, settings, message):
    settings = dict(settings)
    if settings.pop("hole", 0):
        columns = {**columns, "b": [None, np.nan, *np.linspace(0, 1, ROWS - 2)]}
    with pytest.raises(DataError, match=message):
        raw(table(columns), **settings)


def test_faults_in_the_test_split_are_named(table):
    train = {**A, "y": ["u", "v"] * 6}
    with pytest.raises(DataError, match=r"\(test\): 2 labels of classes unseen in train: w, x"):
        raw(table(train, test={"a": [1, 2], "b": [0.5, 0.5], "y": ["w", "x"]}))
    with pytest.raises(DataError, match="no such column"):
        raw(table(train, test={"a": [1], "b": [0.5]}))
    with pytest.raises(DataError, match=r"\(test\): holds string here and int64 in train"):
        raw(table({**A, "y": [0, 1] * 6}, test={"a": [1], "b": [0.5], "y": ["w"]}))


def test_a_class_label_of_minus_one_means_no_label(tmp_path, write_images):
    pixels = np.zeros((4, 3, 3))
    folder = write_images(tmp_path / "hidden", train=(pixels, [0, 1, 0, 1]), test=(pixels, [-1] * 4))
    with pytest.raises(DataError, match=r"\(test\): 4 of 4 labels are missing: -1"):
        raw(folder, inputs="image", target="label")


def test_one_file_will_do_and_the_settings_are_part_of_the_cache_key(table):
    path = table({**A, "y": [0, 1] * 6})
    whole = raw(f"{path}/train.parquet")
    assert raw(f"{path}/train.parquet", inputs="a").inputs.shape == (ROWS, 1)
    assert raw(f"{path}/train.parquet").digest == whole.digest == raw(path).digest


class FromTheHub:
    """Stands in for the network: the Hub answers, and ``load_dataset`` gives these tables."""

    def __init__(self, monkeypatch, reachable, answer):
        import datasets

        self.offline = None

        def load_dataset(name):
            self.offline = datasets.config.HF_HUB_OFFLINE
            return answer(name)

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(sources, "_reachable", lambda name: reachable)


@pytest.mark.parametrize("reachable", [(True, ""), (False, "ConnectError")])
def test_a_name_on_the_hub(monkeypatch, small_mnist, reachable):
    import datasets

    folder, *_ = small_mnist
    local = lmc.data.load("mnist", path=folder)
    shards = {split: datasets.Dataset(sources.in_folder(folder).read()[split]) for split in ("train", "test")}
    hub = FromTheHub(
        monkeypatch, reachable, lambda name: {"ylecun/mnist": datasets.DatasetDict(shards)}[name]
    )
    assert lmc.data.load("mnist").digest == local.digest
    assert hub.offline == (not reachable[0])
    assert datasets.config.HF_HUB_OFFLINE is False
    data = lmc.data.load("hub", path="ylecun/mnist", inputs="image", target="label")
    assert data.digest == local.digest


def test_the_hub_says_no(monkeypatch):
    def fail(name):
        raise ValueError("Config name is missing.\nPlease pick one")

    FromTheHub(monkeypatch, (True, ""), fail)
    with pytest.raises(
        DataError, match=r"no such folder here, and the Hub does not give it: Config name is missing\. "
    ):
        raw("some/set")


def test_no_network(monkeypatch):
    def fail(name):
        raise ConnectionError

    FromTheHub(monkeypatch, (False, "ConnectError"), fail)
    with pytest.raises(DataError, match=r"cannot be reached.*data\.path=FOLDER"):
        lmc.data.load("cifar10")
    with pytest.raises(DataError, match="no such folder"):
        raw("./some/set")


def test_offline_mode_is_seen_without_waiting(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="cannot be reached"):
        lmc.data.load("mnist")
