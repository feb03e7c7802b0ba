"""Whatever a user calls a picture becomes plain RGB or is refused in one line that helps."""

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models import ImageRejected, read_image

SIDE = 48


def gradient(width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """uint8 [height, width, 3]: every channel another slope, so that mix-ups show."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = columns * 255 // (width - 1), rows * 255 // (height - 1)
    return np.stack([red, green, 255 - red], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that declares any size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


def refusal(source: object, **options: object) -> str:
    with pytest.raises(ImageRejected) as caught:
        read_image(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "says what to do"
    return message


class TestWhatIsAccepted:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
    def test_lossless_formats_keep_every_pixel(self, kind: str, tmp_path: Path) -> None:
        file = tmp_path / f"picture.{kind.lower()}"
        options = {"lossless": True} if kind == "WEBP" else {}
        Image.fromarray(gradient()).save(file, kind, **options)
        for source in (file, str(file), file.read_bytes()):
            assert np.array_equal(np.asarray(read_image(source)), gradient())

    def test_jpeg_is_near(self) -> None:
        data = encoded(Image.fromarray(gradient()), "JPEG", quality=95)
        assert np.abs(np.asarray(read_image(data)).astype(int) - gradient()).mean() < 4

    def test_alpha_is_flattened_on_white(self) -> None:
        rgba = np.dstack([gradient(), np.zeros((SIDE, SIDE), np.uint8)])
        rgba[: SIDE // 2, :, 3] = 255
        seen = np.asarray(read_image(encoded(Image.fromarray(rgba))))
        assert np.array_equal(seen[: SIDE // 2], gradient()[: SIDE // 2])
        assert (seen[SIDE // 2 :] == 255).all()

    def test_half_transparent_black_is_grey(self) -> None:
        rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
        rgba[..., 3] = 128
        assert abs(int(np.asarray(read_image(encoded(Image.fromarray(rgba)))).mean()) - 127) <= 1

    def test_a_transparent_colour_of_a_palette_is_white(self) -> None:
        image = Image.new("P", (SIDE, SIDE), 1)
        image.putpalette([0, 0, 0, 200, 10, 10])
        data = encoded(image, "PNG", transparency=1)
        assert (np.asarray(read_image(data)) == 255).all()

    def test_grey_with_alpha_is_flattened(self) -> None:
        image = Image.merge(
            "LA", [Image.new("L", (SIDE, SIDE), 40), Image.new("L", (SIDE, SIDE), 0)]
        )
        assert (np.asarray(read_image(encoded(image))) == 255).all()

    @pytest.mark.parametrize("mode", ["L", "1"])
    def test_grey_becomes_rgb(self, mode: str) -> None:
        image = read_image(encoded(Image.new(mode, (SIDE, SIDE), 1)))
        assert image.mode == "RGB"

    def test_cmyk_becomes_rgb(self) -> None:
        image = Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0))
        seen = np.asarray(read_image(encoded(image, "JPEG", quality=95)))
        assert seen[..., 0].min() > 240
        assert seen[..., 1:].max() < 15

    def test_sixteen_bits_are_scaled_to_eight(self) -> None:
        ramp = np.linspace(0, 65535, SIDE * SIDE).astype(np.uint16).reshape(SIDE, SIDE)
        seen = np.asarray(read_image(encoded(Image.fromarray(ramp))))
        assert np.array_equal(seen[..., 0], np.rint(ramp / 257).astype(np.uint8))
        assert (seen[0, 0] == 0).all()
        assert (seen[-1, -1] == 255).all()

    def test_sixteen_bit_tiff_of_either_byte_order(self) -> None:
        ramp = np.linspace(0, 65535, SIDE * SIDE).astype(np.uint16).reshape(SIDE, SIDE)
        data = encoded(Image.fromarray(ramp), "TIFF")
        assert np.asarray(read_image(data)).max() == 255
        big = encoded(Image.frombytes("I;16B", (SIDE, SIDE), ramp.astype(">u2").tobytes()), "TIFF")
        assert np.array_equal(np.asarray(read_image(big)), np.asarray(read_image(data)))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_rotation_is_undone(self, orientation: int) -> None:
        pixels = gradient(64, 48)
        turn = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        stored = Image.fromarray(pixels)
        if orientation in turn:
            stored = stored.transpose(turn[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        assert np.array_equal(np.asarray(read_image(encoded(stored, "PNG", exif=exif))), pixels)

    def test_a_phone_picture_with_a_second_one_behind_it(self) -> None:
        first, second = Image.fromarray(gradient()), Image.new("RGB", (SIDE, SIDE), "black")
        data = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
        assert np.asarray(read_image(data)).mean() > 50

    def test_a_still_gif(self) -> None:
        assert read_image(encoded(Image.fromarray(gradient()), "GIF")).size == (SIDE, SIDE)

    def test_an_office_programs_name_with_a_tilde(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Image.new("RGB", (20, 20)).save("~$photo.png")
        assert read_image("~$photo.png").size == (20, 20)

    def test_a_pil_image_is_copied(self) -> None:
        given_image = Image.fromarray(gradient())
        seen = read_image(given_image)
        seen.putpixel((0, 0), (1, 2, 3))
        assert given_image.getpixel((0, 0)) != (1, 2, 3)

    def test_arrays_of_every_shape(self) -> None:
        pixels = gradient()
        grey = pixels[..., 0]
        assert np.array_equal(np.asarray(read_image(pixels)), pixels)
        assert np.array_equal(np.asarray(read_image(grey))[..., 2], grey)
        assert np.array_equal(np.asarray(read_image(grey[..., None]))[..., 1], grey)
        deep = grey.astype(np.uint16) * 257
        assert np.array_equal(np.asarray(read_image(deep))[..., 0], grey)
        assert np.array_equal(np.asarray(read_image(pixels.astype(np.uint16) * 257)), pixels)
        clear = np.dstack([pixels, np.zeros_like(grey)])
        assert (np.asarray(read_image(clear)) == 255).all()


class TestWhatIsRefused:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "there is no file" in refusal(tmp_path / "nobody.png")

    @pytest.mark.parametrize("name", ["~nosuchuser/a.png", "~$photo.png"])
    def test_a_tilde_that_is_nobodys_home(self, name: str) -> None:
        assert f"there is no file {name}" in refusal(name)

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "is a folder" in refusal(tmp_path)

    def test_an_address(self) -> None:
        assert "address" in refusal("https://example.org/a.png")

    def test_a_name_no_file_can_have(self) -> None:
        refusal("a\0b.png")

    def test_a_name_too_long_for_any_file(self) -> None:
        refusal("a" * 5000)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        file = tmp_path / "empty.png"
        file.touch()
        assert "is empty" in refusal(file)

    @pytest.mark.parametrize("data", [b"hello, I am no picture", b"%PDF-1.7 ...", b"<svg></svg>"])
    def test_not_a_picture(self, data: bytes) -> None:
        assert "is not a picture" in refusal(data)

    def test_a_program_disguised_as_a_picture(self, tmp_path: Path) -> None:
        file = tmp_path / "innocent.png"
        file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n")
        assert "is not a picture" in refusal(file)

    def test_heic_is_named(self) -> None:
        assert "HEIC" in refusal(b"\0\0\0\x18ftypheic" + b"\0" * 64)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_cut_short(self, kind: str, share: float) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        data = encoded(Image.fromarray(noise), kind)
        message = refusal(data[: int(len(data) * share)], name="photo")
        assert message.startswith("photo ")
        assert "cut short" in message

    @pytest.mark.parametrize("side", [8_200, 9_500, 30_000, 500_000])
    def test_a_decompression_bomb_before_it_is_decoded(self, side: int) -> None:
        assert "million are decoded" in refusal(png_header(side, side))

    def test_the_limit_is_the_callers_to_lower(self) -> None:
        assert "declares 48×48" in refusal(gradient(), max_pixels=47 * 48)
        assert "declares 48×48" in refusal(Image.fromarray(gradient()), max_pixels=47 * 48)

    def test_too_small_to_show_anything(self) -> None:
        assert "4×60 pixels" in refusal(gradient(4, 60))

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
    def test_animated(self, kind: str) -> None:
        frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "green", "blue")]
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        assert "3 frames: it is animated" in refusal(data)
        with Image.open(io.BytesIO(data)) as opened:
            assert "animated" in refusal(opened)

    def test_several_pages(self) -> None:
        page = Image.fromarray(gradient())
        data = encoded(page, "TIFF", save_all=True, append_images=[page])
        assert "2 pages" in refusal(data)

    def test_samples_of_thirty_two_bits(self) -> None:
        data = encoded(Image.new("F", (SIDE, SIDE), 0.5), "TIFF")
        assert "32-bit" in refusal(data)

    def test_arrays_that_are_no_picture(self) -> None:
        assert "float32" in refusal(gradient().astype(np.float32) / 255)
        assert "shape 3×48×48" in refusal(np.zeros((3, SIDE, SIDE), np.uint8))
        assert "shape 48" in refusal(np.zeros(SIDE, np.uint8))
        refusal(np.zeros((0, SIDE, 3), np.uint8))

    def test_a_file_nobody_may_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "secret.png"
        file.write_bytes(encoded(Image.fromarray(gradient())))

        def refuse(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "read_bytes", refuse)
        assert "Permission denied" in refusal(file)


WHOLE = {
    kind: encoded(Image.fromarray(gradient()), kind)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")
}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 10_000), st.binary(min_size=1, max_size=6))
def test_damage_anywhere_gives_a_picture_or_a_refusal(kind: str, at: int, junk: bytes) -> None:
    data = bytearray(WHOLE[kind])
    at %= len(data)
    data[at : at + len(junk)] = junk
    with contextlib.suppress(ImageRejected):
        assert read_image(bytes(data), max_pixels=1 << 20).mode == "RGB"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_refusal(data: bytes) -> None:
    refusal(data)
