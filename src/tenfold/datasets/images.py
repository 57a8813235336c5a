"""One image file, from anywhere, as a square of RGB pixels: the only place where tenfold decodes images.

    decode("cat.jpg", 64)  ->  uint8 [64, 64, 3]

Image folders, zips and tables go through here at ingestion, and `tenfold predict` at prediction, so both see the same
pixels. Files are treated as hostile: formats are listed, the size is judged by the header before anything is decoded,
and whatever goes wrong is a DataError.
"""

import io
import os
from os import PathLike
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from tenfold.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
ENDINGS = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
PIXEL_LIMIT = 89_478_485
"""Width × height beyond which an image is refused: where Pillow itself begins to warn of decompression bombs."""
BYTES_LIMIT = 512 * 1024**2
"""File size beyond which an image is refused unread."""
DECODE_VERSION = 1
"""To be raised with every change here that changes pixels: ingested images are then decoded again."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each EXIF orientation asks for."""


class Header(NamedTuple):
    """What a file says of itself: its format, Pillow's mode, width and height in pixels."""

    format: str
    mode: str
    width: int
    height: int


Source = str | PathLike[str] | bytes
Floats = NDArray[np.float64]


def decode(source: Source, size: int) -> NDArray[np.uint8]:
    """An image file (path, or the file's bytes) as RGB, uint8 [size, size, 3].

    The shorter side is resized to `size` (bilinear, antialiased) and the middle cut out; an image that is size×size
    already is not resampled. EXIF orientation is applied; transparency is laid over white; of animations the first
    frame counts; deeper channels than 8 bits are scaled down.
    DataError: the file is missing, no image of the known formats, truncated, damaged or beyond PIXEL_LIMIT.
    """
    if size < 1:
        raise DataError(f"Images cannot be {size} pixels wide.", "Use an image size of 1 or more.")
    content = read(source)
    try:
        with open_header(content) as image:
            # JPEG's own decoder shrinks by 2, 4 or 8 almost for free; twice the wanted size keeps the resize exact.
            image.draft(None, (2 * size, 2 * size))
            image.load()
            turn = TURNS.get(orientation(image))
            upright = image if turn is None else image.transpose(turn)
            return np.array(square(rgb(upright), size))
    except Exception as error:  # Pillow's decoders answer damaged files with whatever breaks first
        refuse(source, error)


def size_of(source: Source) -> tuple[int, int]:
    """Width and height in pixels after EXIF orientation; DataError as for `decode`."""
    try:
        with open_header(read(source)) as image:
            width, height = image.size
            # Pillow gives a TIFF's size upright already, and turns a TIFF itself while loading it.
            lies = image.format != "TIFF" and orientation(image) >= 5
            return (height, width) if lies else (width, height)
    except Exception as error:
        refuse(source, error)


def header(source: Source) -> Header:
    """Format, mode and stored size, with nothing decoded; DataError as for `decode`."""
    try:
        with open_header(read(source)) as image:
            return Header(image.format or "", image.mode, *image.size)
    except Exception as error:
        refuse(source, error)


def shorter_side(source: Source) -> int:
    """The smaller of width and height in pixels, from the header alone; DataError as for `decode`."""
    try:
        with open_header(read(source)) as image:
            return min(image.size)
    except Exception as error:
        refuse(source, error)


def read(source: Source) -> bytes:
    """The bytes of a file, or the bytes given; DataError if it cannot be read or exceeds BYTES_LIMIT."""
    if isinstance(source, bytes):
        return source
    try:
        with io.FileIO(os.fspath(source)) as file:  # unbuffered and without a Path: half the time for a thumbnail
            if os.fstat(file.fileno()).st_size <= BYTES_LIMIT:
                return file.readall()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise DataError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    raise DataError(f"{source} is larger than {BYTES_LIMIT:,} bytes.", "Store it smaller, or leave it out.")


def open_header(content: bytes) -> Image.Image:
    """The image with nothing decoded yet; ValueError beyond PIXEL_LIMIT."""
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    width, height = image.size
    if width * height > PIXEL_LIMIT:
        raise ValueError(f"{width}×{height} pixels are more than the limit of {PIXEL_LIMIT:,}")
    return image


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where there is none or the metadata is damaged, which costs no pixels."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever a damaged EXIF block breaks first
        return 1
    return value if value in TURNS else 1


def refuse(source: Source, error: Exception) -> NoReturn:
    """DataError that says in the user's words why Pillow gave up."""
    if isinstance(error, DataError):
        raise error
    name = "The image" if isinstance(source, bytes) else str(source)
    if isinstance(error, UnidentifiedImageError):
        reason = f"it is damaged or not one of {', '.join(FORMATS)}"
    elif isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        reason = f"it has more than {PIXEL_LIMIT:,} pixels"
    else:
        reason = str(error) or type(error).__name__
    raise DataError(f"{name} cannot be decoded: {reason}.", "Replace the file, or leave it out.") from None


def rgb(image: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGB; transparency is laid over white, as a page would show it."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(eight_bits(image)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    page = Image.new("RGB", image.size, "white")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Deep greyscale [H, W] as 8 bits: 16-bit by its range; 32-bit by the smallest usual range that holds its values.

    Usual ranges are 0..1 (fractions only), 0..255 and 0..65535; values beyond them are stretched from least to most.
    """
    values: Floats = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite")
    low, high = 0.0, 65535.0
    if not image.mode.startswith("I;16"):
        least, most = float(values.min()), float(values.max())
        usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        fitting = [top for top in usual if most <= top]
        low, high = (0.0, fitting[0]) if least >= 0 and fitting else (least, most)
    return np.rint((values - low) * (255.0 / max(high - low, 1e-300))).astype(np.uint8)


def square(image: Image.Image, size: int) -> Image.Image:
    """The middle square of an RGB image, resized to size×size in one go."""
    width, height = image.size
    if width == height == size:
        return image
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
