"""Decoding one image: every mode and size becomes [S, S, 3], and nothing but DataError comes out of bad files."""

import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tenfold.datasets.images import BYTES_LIMIT, ENDINGS, FORMATS, PIXEL_LIMIT, decode, shorter_side, size_of
from tenfold.errors import DataError

MODES = {
    "1": "PNG",
    "L": "PNG",
    "LA": "PNG",
    "P": "GIF",
    "PA": "TIFF",
    "RGB": "BMP",
    "RGBA": "PNG",
    "CMYK": "JPEG",
    "YCbCr": "JPEG",
    "LAB": "TIFF",
    "I": "TIFF",
    "I;16": "PNG",
    "I;16B": "TIFF",
    "F": "TIFF",
}


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png_header(width, height):
    """A PNG that claims a size and then holds almost nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from(sorted(MODES)),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(1, 40),
)
def test_every_mode_and_size_becomes_a_square_of_rgb(mode, width, height, size):
    pixels = decode(encode(Image.new(mode, (width, height)), MODES[mode]), size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_with_the_right_colours(kind):
    image = Image.new("RGB", (40, 30), (200, 40, 90))
    assert np.abs(decode(encode(image, kind), 16).astype(int) - (200, 40, 90)).max() <= 5


def test_an_image_of_the_size_passes_through_unchanged():
    pixels = noise(32, 32)
    assert np.array_equal(decode(encode(Image.fromarray(pixels)), 32), pixels)


@pytest.mark.parametrize(("width", "height", "left", "top"), [(41, 32, 4, 0), (32, 47, 0, 7)])
def test_a_shorter_side_of_the_size_is_only_cropped(width, height, left, top):
    pixels = noise(width, height)
    wanted = pixels[top : top + 32, left : left + 32]
    assert np.array_equal(decode(encode(Image.fromarray(pixels)), 32), wanted)


def test_resizing_agrees_with_resize_then_centre_crop():
    image = Image.fromarray(noise(12, 9)).resize((240, 180), Image.Resampling.BICUBIC)
    reference = np.asarray(image.resize((80, 60), Image.Resampling.BILINEAR))[:, 10:70]
    assert np.abs(decode(encode(image), 60).astype(int) - reference).max() <= 1


def test_a_large_jpeg_is_shrunk_while_decoding_to_nearly_the_same_pixels():
    image = Image.fromarray(noise(20, 15)).resize((1600, 1200), Image.Resampling.BICUBIC)
    reference = np.asarray(image.resize((64, 48), Image.Resampling.BILINEAR))[:, 8:56]
    assert np.abs(decode(encode(image, "JPEG", quality=95), 48).astype(int) - reference).mean() < 3


def test_a_thin_image_costs_no_more_than_its_middle():
    assert decode(encode(Image.new("L", (60000, 1), 7)), 64).tolist() == [[[7, 7, 7]] * 64] * 64


def test_a_path_and_its_bytes_give_the_same(tmp_path):
    content = encode(Image.fromarray(noise(20, 20)))
    (tmp_path / "a.png").write_bytes(content)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(decode(source, 8), decode(content, 8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("value", range(1, 9))
def test_exif_orientation_is_honoured(kind, value):
    """Seen upright, the image is 48 wide, 32 high, and its left half is bright."""
    upright = np.zeros((32, 48), np.uint8)
    upright[:, :24] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright.T[::-1, ::-1],
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = value
    content = encode(Image.fromarray(np.ascontiguousarray(stored[value])).convert("RGB"), kind, exif=exif)
    assert size_of(content) == (48, 32)
    assert shorter_side(content) == 32
    pixels = decode(content, 32)
    assert pixels[:, :14].min() > 200
    assert pixels[:, 18:].max() < 50


def test_damaged_metadata_costs_no_pixels():
    image = Image.fromarray(noise(16, 16))
    content = encode(image, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff no metadata at all")
    assert np.array_equal(decode(content, 16), np.asarray(image))
    assert size_of(content) == (16, 16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_not_clipped(kind):
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    pixels = decode(encode(Image.fromarray(ramp), kind), 64)
    assert np.array_equal(pixels[..., 0], np.rint(ramp / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.float32([0, 0.5, 1]), [0, 128, 255]),
        (np.float32([0, 100, 255]), [0, 100, 255]),
        (np.int32([0, 257, 65535]), [0, 1, 255]),
        (np.float32([-1, 0, 1]), [0, 128, 255]),
        (np.int32([0, 1, 2]), [0, 1, 2]),
        (np.float32([5e30, 5e30, 5e30]), [0, 0, 0]),
    ],
)
def test_32_bits_are_scaled_by_the_range_that_holds_them(values, wanted):
    pixels = decode(encode(Image.fromarray(np.tile(values, (3, 1))), "TIFF"), 3)
    assert pixels[0, :, 0].tolist() == wanted


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="not finite"):
        decode(encode(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"), 4)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "RGB"])
def test_transparency_is_laid_over_white(mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    if mode == "RGB":
        content = encode(Image.new("RGB", (8, 8)), transparency=(0, 0, 0))
    elif mode == "P":
        content = encode(Image.new("P", (8, 8)), transparency=bytes([0, 255]))
    else:
        content = encode(image.convert(mode), "TIFF" if mode == "PA" else "PNG")
    assert decode(content, 8).min() == 255


def test_opaque_alpha_changes_nothing():
    pixels = noise(9, 9)
    assert np.array_equal(decode(encode(Image.fromarray(pixels).convert("RGBA")), 9), pixels)


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, 8)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.2, 0.7, 0.98])
def test_truncated_files_are_errors(kind, share):
    content = encode(Image.fromarray(noise(64, 64)), kind)
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(content[: int(share * len(content))], 32)


@pytest.mark.parametrize("side", [9460, 13400, 60000])
def test_decompression_bombs_are_refused_by_their_header(side):
    """Just beyond the limit, beyond Pillow's own warning, and beyond its error; with warnings shown and raised."""
    assert side**2 > PIXEL_LIMIT
    for action in ("error", "ignore"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            for judge in (lambda content: decode(content, 32), size_of, shorter_side):
                with pytest.raises(DataError, match=r"89,478,485"):
                    judge(png_header(side, side))


def test_the_limit_is_not_looser_than_pillows_own():
    assert Image.MAX_IMAGE_PIXELS >= PIXEL_LIMIT


def test_a_compressed_bomb_in_a_text_chunk_is_refused():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "a" * (2 * PngImagePlugin.MAX_TEXT_CHUNK), zip=True)
    with pytest.raises(DataError):
        decode(encode(Image.new("RGB", (4, 4)), pnginfo=info), 4)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "EPS", "TGA", "PCX"])
def test_other_formats_are_refused(kind):
    with pytest.raises(DataError, match="JPEG, PNG, WEBP, BMP, GIF, TIFF"):
        decode(encode(Image.new("RGB", (16, 16)), kind), 16)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.png cannot be read: No such file"):
        decode(tmp_path / "none.png", 8)
    with pytest.raises(DataError, match="Is a directory"):
        decode(tmp_path, 8)
    with pytest.raises(DataError, match="cannot be read"):
        decode("null\0character.png", 8)
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png cannot be decoded"):
        decode(tmp_path / "empty.png", 8)


def test_a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(BYTES_LIMIT + 1)
    with pytest.raises(DataError, match="larger than"):
        decode(tmp_path / "huge.png", 8)


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(DataError, match="pixels wide"):
        decode(encode(Image.new("L", (4, 4))), size)


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from([encode(Image.fromarray(noise(9, 7)), kind) for kind in FORMATS] + [b""]),
    at=st.integers(0, 400),
    junk=st.binary(max_size=60),
)
def test_arbitrary_bytes_never_raise_anything_but_data_error(start, at, junk):
    content = start[:at] + junk + start[at + len(junk) :]
    for judge in (lambda c: decode(c, 8), size_of, shorter_side):
        with contextlib.suppress(DataError):
            judge(content)


def test_endings_belong_to_the_formats():
    Image.init()
    assert {Image.EXTENSION[ending] for ending in ENDINGS} == set(FORMATS)
