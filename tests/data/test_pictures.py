"""Images of many modes: read alike in all splits, or refused by name."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

import lmc.data
from lmc.core.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)


def encoded(image, kind="PNG"):
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()


def raw(folder, **splits):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split, images in splits.items():
        table = pa.table({"image": pa.array(images, pa.binary()), "y": [i % 2 for i in range(len(images))]})
        pq.write_table(table, folder / f"{split}.parquet")
    return lmc.data.DATASETS["hub"](path=str(folder), inputs="image", target="y")


@pytest.mark.parametrize("colour_in", ["train", "test"])
def test_colour_in_one_split_makes_all_of_them_colour(tmp_path, colour_in):
    grey, colour = (encoded(PIL.Image.fromarray(each)) for each in (GREY, COLOUR))
    parts = {"train": [grey] * 2, "test": [grey] * 2, colour_in: [grey, colour]}
    found = raw(tmp_path, **parts)
    inputs = {"train": found.inputs, "test": found.test_inputs}
    repeated = np.stack([GREY] * 3)
    for part in inputs.values():
        assert part.shape == (2, 3, 4, 5)
        assert np.array_equal(part[0], repeated)
    assert np.array_equal(inputs[colour_in][1], COLOUR.transpose(2, 0, 1))
    found.check("hub")
    other = {"train": "test", "test": "train"}[colour_in]
    assert found.doubts == (
        f"data.inputs=image: {other} images are grey, others in colour: grey is repeated",
    )


def test_palettes_and_opaque_images_are_colour_without_doubt(tmp_path):
    palette = PIL.Image.fromarray(COLOUR).quantize(256)
    opaque = PIL.Image.fromarray(np.dstack([COLOUR, np.full((4, 5), 255, np.uint8)]))
    found = raw(tmp_path, train=[encoded(palette), encoded(opaque)])
    assert np.array_equal(found.inputs[1], COLOUR.transpose(2, 0, 1))
    assert np.array_equal(found.inputs[0], np.asarray(palette.convert("RGB")).transpose(2, 0, 1))
    assert found.doubts == ()


def test_transparency_is_told(tmp_path):
    half = PIL.Image.fromarray(np.dstack([COLOUR, np.full((4, 5), 7, np.uint8)]))
    found = raw(tmp_path, train=[encoded(half), encoded(half)])
    assert np.array_equal(found.inputs[0], COLOUR.transpose(2, 0, 1))
    assert found.doubts == (
        "data.inputs=image: 2 images are partly transparent: their colours are read as they are stored, "
        "without a background",
    )


def test_sixteen_bits_of_grey_are_refused(tmp_path):
    deep = PIL.Image.fromarray(GREY.astype(np.uint16) * 100)
    with pytest.raises(DataError, match="image 0 has mode I;16"):
        raw(tmp_path, train=[encoded(deep)] * 2)


def deep_png(pixels):
    """A PNG of 16 bits per channel, which PIL cannot write."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_sixteen_bits_of_colour_lose_the_lower_eight_and_that_is_told(tmp_path):
    pixels = RNG.integers(0, 1 << 16, (4, 5, 3))
    found = raw(tmp_path, train=[deep_png(pixels)] * 2)
    assert np.array_equal(found.inputs[0], (pixels >> 8).transpose(2, 0, 1))
    assert found.doubts == ("data.inputs=image: 2 images have 16 bits per channel: the upper 8 are read",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.8])
def test_a_damaged_image_is_named(tmp_path, kind, cut):
    whole = encoded(PIL.Image.fromarray(RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)), kind)
    with pytest.raises(DataError, match="image 1 cannot be decoded"):
        raw(tmp_path, train=[whole, whole[: int(len(whole) * cut)]])
    flipped = bytearray(encoded(PIL.Image.fromarray(COLOUR)))
    flipped[50] ^= 255
    with pytest.raises(DataError, match="image 1 cannot be decoded"):
        raw(tmp_path, train=[encoded(PIL.Image.fromarray(COLOUR)), bytes(flipped)])
