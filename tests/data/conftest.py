import io
import os

import numpy as np
import PIL.Image
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    folder = tmp_path / "lmc-cache"
    monkeypatch.setenv("LMC_CACHE", str(folder))
    return folder


@pytest.fixture
def png():
    def encode(pixels):
        stream = io.BytesIO()
        PIL.Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, "PNG")
        return {"bytes": stream.getvalue(), "path": None}

    return encode


@pytest.fixture
def write_images(png):
    """Writes Hub-style shards: image column, ClassLabel column, Hugging Face's schema metadata."""

    def write(folder, column="image", label="label", *, classes=10, **splits):
        import datasets

        features = datasets.Features(
            {column: datasets.Image(), label: datasets.ClassLabel(num_classes=classes)}
        )
        folder.mkdir(parents=True, exist_ok=True)
        for split, (pixels, labels) in splits.items():
            rows = {column: [png(one) for one in pixels], label: [int(one) for one in labels]}
            datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}.parquet")
        return str(folder)

    return write


@pytest.fixture
def small_mnist(tmp_path, write_images):
    """A folder of 40 + 10 images, in two train shards, with the pixels and labels it was made from."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    labels = np.arange(50) % 10
    parts = {
        "train-00000-of-00002": slice(0, 25),
        "train-00001-of-00002": slice(25, 40),
        "test-00000-of-00001": slice(40, 50),
    }
    folder = write_images(
        tmp_path / "mnist", **{name: (pixels[part], labels[part]) for name, part in parts.items()}
    )
    return folder, pixels, labels


@pytest.fixture
def write_arxiv():
    """Writes a graph in OGB's layout; ``files`` replaces some of them, None leaves one out."""

    def write(folder, nodes=12, compressed=True, **files):
        rng = np.random.default_rng(0)
        tables = {
            "raw/edge": rng.integers(0, nodes, (20, 2)),
            "raw/node-feat": rng.normal(2, 3, (nodes, 4)).round(3),
            "raw/node-label": np.arange(nodes)[:, None] % 3,
            "split/time/train": np.arange(0, nodes - 5)[:, None],
            "split/time/valid": np.arange(nodes - 5, nodes - 2)[:, None],
            "split/time/test": np.arange(nodes - 2, nodes)[:, None],
        }
        for place, rows in tables.items():
            rows = files.get(place.rpartition("/")[2].replace("-", "_"), rows)
            if rows is not None:
                file = folder / f"{place}.csv{'.gz' if compressed else ''}"
                file.parent.mkdir(parents=True, exist_ok=True)
                np.savetxt(file, rows, delimiter=",", fmt="%g")
        return str(folder)

    return write
