import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import lmc.data
from lmc.core.errors import DataError, SettingError
from lmc.data import cache, sources


def entries(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_shards_are_decoded_in_order(small_mnist):
    folder, pixels, labels = small_mnist
    raw = lmc.data.DATASETS["mnist"](path=folder)
    assert np.array_equal(raw.inputs[:, 0].numpy(), pixels[:40])
    assert np.array_equal(raw.test_inputs[:, 0].numpy(), pixels[40:])
    assert np.array_equal(raw.targets.numpy(), labels[:40])
    assert np.array_equal(raw.test_targets.numpy(), labels[40:])


def test_fewer_samples_are_drawn_once_and_keep_their_labels(small_mnist):
    folder, pixels, labels = small_mnist
    raw, more = (lmc.data.DATASETS["mnist"](path=folder, samples=count) for count in (15, 20))
    place = [int(np.flatnonzero((pixels[:40] == image.numpy()).all((1, 2)))[0]) for image in raw.inputs[:, 0]]
    assert len({*place}) == 15
    assert place != sorted(place)
    assert np.array_equal(raw.targets.numpy(), labels[place])
    assert torch.equal(more.inputs[:15], raw.inputs)
    assert np.array_equal(raw.test_inputs[:, 0].numpy(), pixels[40:50])
    whole = lmc.data.DATASETS["mnist"](path=folder, samples=1000)
    assert len(whole.inputs) == 40
    assert whole.digest == lmc.data.DATASETS["mnist"](path=folder).digest != raw.digest
    with pytest.raises(SettingError, match=r"data\.samples=0"):
        lmc.data.load("mnist", path=folder, samples=0)


def test_the_digest_does_not_depend_on_the_place(small_mnist, tmp_path):
    folder, *_ = small_mnist
    elsewhere = shutil.copytree(folder, tmp_path / "else" / "where")
    assert lmc.data.load("mnist", path=folder).digest == lmc.data.load("mnist", path=str(elsewhere)).digest


def test_colour_is_told_from_grey_and_mixtures_become_colour(tmp_path, write_images):
    rng = np.random.default_rng(1)
    colour = rng.integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    grey = rng.integers(0, 256, (5, 4), dtype=np.uint8)
    folder = write_images(tmp_path / "mixed", train=([grey, *colour], [0, 1, 0]))
    data = lmc.data.DATASETS["hub"](path=folder, inputs="image", target="label")
    assert data.inputs.shape == (3, 3, 5, 4)
    assert np.array_equal(data.inputs[0], np.stack([grey] * 3))
    assert np.array_equal(data.inputs[1:], colour.transpose(0, 3, 1, 2))


def test_a_cache_hit_equals_decoding_and_decodes_nothing(small_mnist, cache_folder, monkeypatch):
    folder, *_ = small_mnist
    first = lmc.data.load("mnist", path=folder)
    assert {file.name for file in entries(cache_folder)} == {
        "inputs.npy", "targets.npy", "test_inputs.npy", "test_targets.npy", "raw.json",
    }  # fmt: skip
    monkeypatch.setattr(sources, "_read", lambda files: pytest.fail("decoded again"))
    second = lmc.data.load("mnist", path=folder)
    assert first.digest == second.digest
    for part, other in zip(first.splits.values(), second.splits.values(), strict=True):
        assert torch.equal(part.inputs, other.inputs)
        assert torch.equal(part.targets, other.targets)


@pytest.mark.parametrize("name", ["inputs.npy", "test_targets.npy", "raw.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "gone", "foreign"])
def test_a_damaged_entry_is_decoded_again(small_mnist, cache_folder, name, damage):
    folder, *_ = small_mnist
    before = lmc.data.load("mnist", path=folder)
    file = next(file for file in entries(cache_folder) if file.name == name)
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        file.write_bytes(
            {"truncated": content[: len(content) // 2], "flipped": flipped, "empty": b"", "foreign": b"[1]"}[
                damage
            ]
        )
    after = lmc.data.load("mnist", path=folder)
    assert after.digest == before.digest
    assert torch.equal(after.train.inputs, before.train.inputs)
    assert file.read_bytes() == content


def test_a_changed_file_is_decoded_again(small_mnist, write_images, tmp_path):
    folder, pixels, labels = small_mnist
    before = lmc.data.load("mnist", path=folder)
    write_images(tmp_path / "mnist", **{"test-00000-of-00001": (255 - pixels[40:], labels[40:])})
    after = lmc.data.load("mnist", path=folder)
    assert after.digest != before.digest
    assert not torch.equal(after.test.inputs, before.test.inputs)


def test_a_cache_that_cannot_be_written_is_no_error(small_mnist, tmp_path, monkeypatch):
    folder, *_ = small_mnist
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LMC_CACHE", str(tmp_path / "file" / "below"))
    assert len(lmc.data.load("mnist", path=folder).test) == 10


def test_a_full_disk_leaves_no_rubbish(small_mnist, cache_folder, monkeypatch):
    folder, *_ = small_mnist

    def full(tensor, file):
        file.write(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_save", full)
    assert len(lmc.data.load("mnist", path=folder).test) == 10
    assert entries(cache_folder) == []


def test_without_test_shards_the_test_split_is_cut(tmp_path, write_images):
    pixels = np.arange(20 * 28 * 28).reshape(20, 28, 28) % 251
    folder = write_images(tmp_path / "one", only=(pixels, np.arange(20) % 10))
    data = lmc.data.load("mnist", path=folder, test_fraction=0.25)
    assert [len(part) for part in data.splits.values()] == [13, 2, 5]


def test_missing_paths_are_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        lmc.data.load("mnist", path=str(tmp_path / "nowhere"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="no parquet file"):
        lmc.data.load("mnist", path=str(tmp_path / "bare"))
    (tmp_path / "bare" / "train-0.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"train-0.parquet cannot be read"):
        lmc.data.load("mnist", path=str(tmp_path / "bare"))


def test_layouts_of_folders(tmp_path, write_images):
    pixels, labels = np.zeros((3, 28, 28)), [0, 1, 2]
    write_images(tmp_path / "a" / "train", part=(pixels, labels))
    write_images(tmp_path / "a" / "test", part=(pixels[:2], labels[:2]))
    write_images(tmp_path / "a" / "validation", part=(pixels[:1], labels[:1]))
    raw = lmc.data.DATASETS["mnist"](path=str(tmp_path / "a"))
    assert (len(raw.inputs), len(raw.test_inputs)) == (3, 2)
    write_images(tmp_path / "b" / "one", train=(pixels, labels))
    write_images(tmp_path / "b" / "two", train=(pixels, labels))
    with pytest.raises(DataError, match="several sets, one, two"):
        lmc.data.load("mnist", path=str(tmp_path / "b"))
    write_images(tmp_path / "c", test=(pixels, labels))
    with pytest.raises(DataError, match=r"no train files among test\.parquet"):
        lmc.data.load("mnist", path=str(tmp_path / "c"))


def test_images_of_another_set_or_size_are_refused(small_mnist, tmp_path, write_images):
    folder, *_ = small_mnist
    with pytest.raises(DataError, match="images of 1 x 28 x 28, where uoft-cs/cifar10 has 3 x 32 x 32"):
        lmc.data.load("cifar10", path=folder)
    with pytest.raises(DataError, match=r"no such column.*label"):
        lmc.data.load("cifar100", path=write_images(tmp_path / "c", train=(np.zeros((2, 32, 32, 3)), [0, 1])))
    uneven = write_images(tmp_path / "uneven", train=([np.zeros((4, 4)), np.zeros((4, 5))], [0, 1]))
    with pytest.raises(DataError, match="unequal sizes: image 1 is 5 x 4, image 0 is 4 x 4"):
        lmc.data.load("hub", path=uneven, inputs="image", target="label")


def test_labels_out_of_range_are_refused(tmp_path, write_images):
    folder = write_images(tmp_path / "m", classes=20, train=(np.zeros((3, 28, 28)), [0, 10, 11]))
    with pytest.raises(DataError, match="label holds 10, 11"):
        lmc.data.load("mnist", path=folder)


def test_an_image_that_is_none_is_named(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for value, message in ((b"not an image", "image 0 cannot be decoded"), (None, "image 0 is missing")):
        column = pa.array(
            [{"bytes": value, "path": None}], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        )
        pq.write_table(pa.table({"image": column, "label": [0]}), tmp_path / "train.parquet")
        with pytest.raises(DataError, match=message):
            lmc.data.load("mnist", path=str(tmp_path))


def test_real_mnist(shared_data):
    path = shared_data("mnist")
    data = lmc.data.load("mnist", path=path)
    cached = lmc.data.load("mnist", path=path)
    assert data.digest == cached.digest == "059f4eb9fd295e82d4000f8548286ee5bc246dd61c84cf0f25873cb95405fd2d"
    assert torch.equal(cached.test.inputs, data.test.inputs)
    assert [len(part) for part in data.splits.values()] == [54_000, 6_000, 10_000]
    assert abs(data.train.inputs.mean(dtype=torch.float64)) < 1e-6


def test_real_cifar10(shared_data, tmp_path):
    """Its smaller shard, which takes a second instead of six."""
    (tmp_path / "train.parquet").symlink_to(Path(shared_data("cifar10")) / "test-00000-of-00001.parquet")
    data = lmc.data.load("cifar10", path=str(tmp_path))
    assert data.input_shape == (3, 32, 32)
    assert [len(part) for part in data.splits.values()] == [7200, 800, 2000]
    assert sum(part.targets.bincount() for part in data.splits.values()).tolist() == [1000] * 10


def test_the_cache_follows_its_variable(monkeypatch, tmp_path):
    assert cache.folder() == tmp_path / "lmc-cache" / "data"
    monkeypatch.delenv("LMC_CACHE")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "lmc" / "data"
