"""Crops and flips: every output is a shifted, perhaps mirrored, padded input."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lmc.data
from lmc.core.errors import SettingError
from lmc.data import Raw
from lmc.data.augmentation import CropAndFlip
from lmc.data.splitting import split

FILL = torch.tensor([-1.0, -2.0]).view(2, 1, 1)


def draw(seed):
    return torch.Generator().manual_seed(seed)


def numbered(count, height, width):
    """Every pixel of a batch has a value of its own."""
    return torch.arange(float(count * 2 * height * width)).view(count, 2, height, width)


def candidates(image, padding):
    """All the crops of one padded image, plain and mirrored, by (flip, down, right)."""
    _, height, width = image.shape
    padded = FILL.expand(2, height + 2 * padding, width + 2 * padding).clone()
    padded[:, padding : padding + height, padding : padding + width] = image
    found = {}
    for down in range(2 * padding + 1):
        for right in range(2 * padding + 1):
            crop = padded[:, down : down + height, right : right + width]
            found[0, down, right], found[1, down, right] = crop, crop.flip(-1)
    return found


def which(output, image, padding):
    hits = [key for key, crop in candidates(image, padding).items() if torch.equal(crop, output)]
    assert hits, "not a crop of the padded image"
    return hits[0]


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(0, 3), st.integers(0, 99))
def test_every_output_is_a_crop_of_the_padded_input(count, height, width, padding, seed):
    images = numbered(count, height, width)
    before = images.clone()
    outputs = CropAndFlip(FILL, padding)(images, draw(seed))
    assert outputs.shape == images.shape
    assert outputs.is_contiguous()
    assert torch.equal(images, before)
    for image, output in zip(images, outputs, strict=True):
        which(output, image, padding)


def test_a_generator_decides():
    augment, images = CropAndFlip(FILL), numbered(50, 6, 6)
    assert torch.equal(augment(images, draw(1)), augment(images, draw(1)))
    assert not torch.equal(augment(images, draw(1)), augment(images, draw(2)))
    other = augment(images * 2 + 1, draw(1))  # the draws do not depend on the images
    places = [which(output, image, 4) for output, image in zip(augment(images, draw(1)), images, strict=True)]
    assert [which(output, image, 4) for output, image in zip(other, images * 2 + 1, strict=True)] == places


def test_shifts_and_flips_are_uniform_and_independent():
    count, padding = 3600, 1
    image = numbered(1, 3, 3)
    outputs = CropAndFlip(FILL, padding)(image.expand(count, -1, -1, -1), draw(0))
    crops = candidates(image[0], padding)
    counts = torch.tensor([int((outputs == crop).flatten(1).all(1).sum()) for crop in crops.values()])
    assert len(counts) == 18
    assert counts.sum() == count
    expected = count / 18
    assert float((counts - expected).square().sum() / expected) < 40.8  # chi^2, 17 degrees: 0.1 %


def images(augment, count=20):
    pixels = torch.randint(256, (count, 3, 5, 5), generator=draw(0), dtype=torch.uint8)
    return Raw(pixels, torch.zeros(count).long(), "cross_entropy", 2, "image", scale=255.0, augment=augment)


@pytest.mark.parametrize("standardise", [True, False])
def test_black_comes_in_from_outside(standardise):
    raw = images(True)
    data, plain = (split("images", images(augment), standardise=standardise) for augment in (True, False))
    assert plain.augment is None
    assert plain.digest == data.digest
    assert torch.equal(data.train.inputs, plain.train.inputs)
    assert data.augment.padding == 4
    for channel in range(3):  # the standardised value is affine in the pixel's
        pixel, value = raw.inputs[:, channel].double(), data.augment.fill[channel].item()
        seen = torch.cat([part.inputs[:, channel] for part in data.splits.values()]).double()
        slope = (seen.max() - seen.min()) / (pixel.max() - pixel.min())
        assert float(seen.min() - slope * pixel.min()) == pytest.approx(value, abs=1e-5)


def test_what_cannot_be_cropped_is_refused():
    table = Raw(torch.zeros(9, 3), torch.zeros(9).long(), "cross_entropy", 2, augment=True)
    with pytest.raises(SettingError, match=r"data.augment=true: t has no images.*augment=false"):
        split("t", table)
    with pytest.raises(SettingError, match=r"data.coherence=0.5: turned images.*augment=false"):
        split("images", images(True), coherence=0.5)


def test_the_published_sets_say_whether(write_images, tmp_path):
    shard = (torch.zeros(4, 32, 32, 3).numpy(), [0, 1, 2, 3])
    folder = write_images(tmp_path / "c", train=shard, test=shard)
    for _ in range(2):  # decoded, then from the cache
        assert lmc.data.load("cifar10", path=folder).augment is not None
        assert lmc.data.load("cifar10", path=folder, augment=False).augment is None
    own = {"path": folder, "inputs": "image", "target": "label"}
    assert lmc.data.load("hub", **own).augment is None
    assert lmc.data.load("hub", augment=True, **own).augment is not None
