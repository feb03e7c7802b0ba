"""A mask is read by its lightness, or by its transparency; what is no picture is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models import ImageRejected, read_image, read_mask

SIDE = 32


def halves() -> NDArray[np.uint8]:
    """uint8 [24, 32]: the left third is meant."""
    mask = np.zeros((24, SIDE), np.uint8)
    mask[:, :10] = 255
    return mask


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def transparent(where: NDArray[np.uint8], colour: int = 255) -> Image.Image:
    """RGBA: see-through where the mask is."""
    pixels = np.full((*where.shape, 4), colour, np.uint8)
    pixels[..., 3] = 255 - where
    return Image.fromarray(pixels)


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "CMYK", "RGBA", "LA"])
def test_white_is_meant_in_every_mode_without_transparency(mode: str) -> None:
    image = Image.fromarray(halves()).convert("RGB").convert(mode)
    assert np.array_equal(read_mask(image), halves())


def test_sixteen_bits_and_truth_values_are_masks_too() -> None:
    wide = halves().astype(np.uint16) * 257
    assert np.array_equal(read_mask(wide), halves())
    assert np.array_equal(read_mask(encoded(Image.fromarray(wide))), halves())
    assert np.array_equal(read_mask(halves() > 0), halves())


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_what_is_transparent_is_meant_and_colours_say_nothing(colour: int) -> None:
    for image in (transparent(halves(), colour), transparent(halves(), colour).convert("LA")):
        assert np.array_equal(read_mask(image), halves())
    assert np.array_equal(read_mask(encoded(transparent(halves(), colour))), halves())


def test_a_palettes_transparency_counts() -> None:
    image = Image.fromarray(halves()).convert("P")
    data = encoded(image, "PNG", transparency=int(np.asarray(image)[0, 0]))
    assert np.array_equal(read_mask(data), halves())


def test_greys_stay_greys() -> None:
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (SIDE, 1))
    assert np.array_equal(read_mask(grey), grey)


def test_it_is_upright_and_a_copy() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert read_mask(encoded(Image.fromarray(halves()), exif=exif)).shape == (SIDE, 24)
    given = halves()
    read_mask(given)[:] = 7
    assert np.array_equal(given, halves())


def test_it_is_checked_as_a_photograph_is(tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(halves()))
    large = encoded(Image.new("L", (2000, 2000)))
    for source, options in (
        (b"nothing", {}),
        (whole[: len(whole) // 2], {}),
        (np.zeros((4, 4), np.uint8), {}),
        (np.zeros((32, 32, 2), np.uint8), {}),
        (large, {"max_pixels": 10_000}),
        (tmp_path / "gone.png", {}),
        (Image.new("F", (32, 32)), {}),
    ):
        with pytest.raises(ImageRejected) as mine:
            read_mask(source, "mask", **options)  # type: ignore[arg-type]
        with pytest.raises(ImageRejected) as others:
            read_image(source, "mask", **options)  # type: ignore[arg-type]
        assert str(mine.value) == str(others.value)
