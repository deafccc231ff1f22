"""Image files as volumes: PNG, JPEG, TIFF, BMP, WebP and GIF of 8 or 16 bits, grey or colour.

A photo becomes a volume (X, Y, 1) = (columns, rows, 1), so that the first in-plane axis is left to right as in every
other volume. Values are shares of the number type's range, 0 to 1. A restored photo goes back with the same bits,
colour, transparency, colour profile and EXIF.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.files import atomic
from taskgan.core.parse import MOST_DEFLATED, check_voxels, error_text

Array = NDArray[np.float32]

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
WRITABLE_SUFFIXES = PHOTO_SUFFIXES[:-2]
# Columns run from the patient's right to left and rows downwards: the identity of a world whose first axes point left
# and back (DICOM's, ITK's). In nibabel's, which point right and to the front, both have a minus.
AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue, ITU-R BT.601: Y of JPEG's YCbCr."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")  # of several frames the first; an MPO is opened as JPEG
_SIMPLE = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
_WITH_ALPHA = {"L": "LA", "P": "RGBA", "RGB": "RGBA"}
_BITS, _PHOTOMETRIC, _PLANES = 258, 262, 284  # tags of TIFF
_ORIENTATION = 0x0112
# Of a TIFF, what says something of the picture; its other tags say how the file is laid out.
_TEXT_TAGS = (270, 271, 272, 305, 306, 315, 33432)  # description, make, model, software, date, artist, copyright
_TAG_GROUPS = (34665, 34853)  # the directories Exif and GPS


@dataclass(frozen=True)
class Photo:
    """A photo, turned upright as its EXIF orientation says.

    Attributes:
        pixels: (X, Y, C) float32, 0 to 1; one channel (grey) or three (red, green, blue).
        alpha: (X, Y) float32, 0 to 1, or None where there is no transparency.
        bits: Of a channel, 8 or 16.
        profile: ICC profile, or None.
        exif: EXIF without the orientation, which is in the pixels; empty where there is none.
        dpi: Resolution for print, or None.
    """

    pixels: Array = field(repr=False)
    alpha: Array | None = field(default=None, repr=False)
    bits: int = 8
    profile: bytes | None = field(default=None, repr=False)
    exif: bytes = field(default=b"", repr=False)
    dpi: tuple[float, float] | None = None

    @property
    def luminance(self) -> Array:
        """(X, Y): the grey values, or Y of the colours."""
        if self.pixels.shape[2] == 1:
            return np.ascontiguousarray(self.pixels[:, :, 0])
        return np.ascontiguousarray(self.pixels @ LUMINANCE)


def is_photo_name(path: Path) -> bool:
    """Whether a path is called like an image file that is no NIfTI."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def read_photo(path: Path) -> Photo:
    """Read PNG, JPEG, TIFF, BMP, WebP or GIF; the content counts, not the name. Of several frames or views the first.

    Raises:
        UserError: If it is missing, damaged, or no grey or RGB image of 8 or 16 bits.
    """
    with _opened(path) as image:
        values, bits = _values(path, image)
        values = _upright(values, _orientation(image))
        turned = np.ascontiguousarray(np.moveaxis(values, 0, 1), dtype=np.float32)
        turned /= np.float32(2**bits - 1)
        colours = turned.shape[2] - 1 + turned.shape[2] % 2
        dpi = image.info.get("dpi")
        return Photo(
            pixels=turned[:, :, :colours],
            alpha=turned[:, :, colours] if turned.shape[2] > colours else None,
            bits=bits,
            profile=image.info.get("icc_profile") or None,
            exif=_exif(image),
            dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
        )


def frame_count(path: Path) -> int:
    """Frames of an image file, of which only the first is read; a UserError where it is missing or no image."""
    with _opened(path) as image:
        return int(getattr(image, "n_frames", 1))


def photo_bits(path: Path) -> int:
    """Bits of a channel, 8 or 16; errors are those of :func:`read_photo`."""
    with _opened(path) as image:
        return _values(path, image)[1]


def photo_shape(path: Path) -> tuple[int, int, int]:
    """(X, Y, 1) of an image file as :func:`read_photo` turns it, by its header alone; a UserError where it is none."""
    with _opened(path) as image:
        x, y = image.size
        return (y, x, 1) if _orientation(image) >= 5 else (x, y, 1)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise UserError(f"{path} {'is a folder, expected an image' if path.exists() else 'does not exist'}")
    try:
        # A handle, not a name: of a file by name the library maps TIFFs that are turned with width for height.
        Image.MAX_IMAGE_PIXELS = None  # ours is stricter, and says how to raise it
        with path.open("rb") as handle, Image.open(handle, formats=_FORMATS) as image:
            check_voxels(path, image.size, photo=True)
            # The library makes black lines of those that a PNG does not hold.
            least = math.prod(image.size) * (len(image.getbands()) if image.mode in ("RGB", "RGBA", "LA") else 1 / 8)
            if image.format == "PNG" and least > path.stat().st_size * MOST_DEFLATED:
                raise UserError(f"{path} ends early: its header tells of {image.size[0]}×{image.size[1]} pixels")
            yield image
    except UserError:
        raise
    except Exception as error:  # a damaged file makes the decoders fail in many ways
        if isinstance(error, UnidentifiedImageError):
            raise UserError(f"{path} cannot be read as PNG, JPEG, TIFF, BMP, WebP or GIF") from None
        raise UserError(f"{path} cannot be read as an image: {error_text(error)}") from None


def _values(path: Path, image: Any) -> tuple[NDArray[Any], int]:
    """(rows, columns, C), whole numbers, and the bits of each; C is 1, 2 (grey, alpha), 3 or 4."""
    tags = getattr(image, "tag_v2", {})
    depths = set(np.atleast_1d(tags.get(_BITS, 8)).tolist())
    frames = int(getattr(image, "n_frames", 1))
    if image.format == "TIFF" and frames > 1:
        raise UserError(f"{path} holds {frames} images, expected one")
    if not depths <= {1, 2, 4, 8, 16}:
        raise UserError(f"{path} has {max(depths)} bits a channel, expected 8 or 16")
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)[:, :, None]
        return (65535 - values if tags.get(_PHOTOMETRIC) == 0 else values), 16
    raw = image.tile[0].args if image.tile else ""
    raw = raw if isinstance(raw, str) else str(raw[0])
    if ";16" in raw or (16 in depths and image.mode != "I;16"):
        return _deep(path, image, raw), 16
    mode = _SIMPLE.get(image.mode, image.mode)
    if "transparency" in image.info:
        mode = _WITH_ALPHA.get("L" if image.mode == "1" else image.mode, mode)
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise UserError(f"{path} is an image of the kind {image.mode}, expected grey or RGB of 8 or 16 bits")
    values = np.asarray(image if image.mode == mode else image.convert(mode))
    return (values if values.ndim == 3 else values[:, :, None]), 8


def _deep(path: Path, image: Any, raw: str) -> NDArray[np.uint16]:
    """A colour image, or grey with alpha, of 16 bits, of which the library gives only the upper eight.

    Its decoders unpack bytes in the order that they are told: told the other order, they give the lower eight.
    """
    from PIL import Image

    kind, _, order = raw.partition(";16")
    if order not in ("B", "L", "N") or kind not in ("RGB", "RGBA", "RGBX", "LA") or len(image.tile) == 0:
        raise UserError(f"{path} is of 16 bits in a form that is not read ({image.mode}); expected PNG or plain TIFF")
    if getattr(image, "tag_v2", {}).get(_PLANES) == 2:
        raise UserError(f"{path} keeps its colours in separate planes of 16 bits; expected them side by side")
    if kind == "LA":  # opened as RGBA of 8 bits, which is as long: both bytes of grey, both of alpha
        four = _unpacked(path, Image, "RGBA").astype(np.uint16)
        return np.asarray(four[:, :, 0::2] << 8 | four[:, :, 1::2])
    big = order == "B"
    whole = _unpacked(path, Image, f"{kind};16{'B' if big else 'L'}").astype(np.uint16)
    whole <<= 8
    whole |= _unpacked(path, Image, f"{kind};16{'L' if big else 'B'}")
    return whole


def _unpacked(path: Path, pillow: Any, raw: str) -> NDArray[np.uint8]:
    with path.open("rb") as handle, pillow.open(handle, formats=_FORMATS) as image:
        image.tile = [
            tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:])) for tile in image.tile
        ]
        return np.asarray(image, dtype=np.uint8)


def _orientation(image: Any) -> int:
    """1 to 8. Of a TIFF always 1: the library turns pixels, and gives the size of the turned image."""
    if image.format == "TIFF":
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to refuse the pixels
        return 1


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror (rows, columns, C) as EXIF says that it is to be shown."""
    if orientation in (5, 6, 7, 8):
        values = np.swapaxes(values, 0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return values[::rows, ::columns]


def _exif(image: Any) -> bytes:
    if image.format != "TIFF" and not image.info.get("exif"):
        return b""
    try:
        exif = _of_tiff(image.getexif()) if image.format == "TIFF" else image.getexif()
        exif.pop(_ORIENTATION, None)
        return exif.tobytes() if len(exif) else b""
    except Exception:
        return b""


def _of_tiff(tags: Any) -> Any:
    from PIL import Image

    exif = Image.Exif()
    for tag in _TEXT_TAGS:
        if tag in tags:
            exif[tag] = tags[tag]
    for tag in _TAG_GROUPS:
        if inside := tags.get_ifd(tag):
            exif[tag] = dict(inside)
    return exif


_JPEG_QUALITY = 95
_PNG_EFFORT = 3  # of 9: half the time of 6 for a tenth more bytes
_NAMES = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG", ".bmp": "BMP"}


def with_luminance(photo: Photo, luminance: Array) -> Photo:
    """A photo with other luminance (X, Y) and its own colour differences (Cb, Cr of YCbCr), clipped to 0 to 1.

    Y's weights add up to one, so that a change of Y alone changes red, green and blue by the same.
    """
    grey = photo.pixels.shape[2] == 1
    pixels = luminance[:, :, None] if grey else photo.pixels + (luminance - photo.luminance)[:, :, None]
    return replace(photo, pixels=np.clip(pixels, 0.0, 1.0).astype(np.float32))


def check_format(path: Path, photo: Photo) -> None:
    """Refuse, with a UserError, a format that loses a photo's transparency, colour profile or half of its bits."""
    if path.suffix.lower() not in _NAMES:
        raise UserError(f"{path} cannot be written; expected a name that ends in {', '.join(WRITABLE_SUFFIXES)}")
    kind = _NAMES[path.suffix.lower()]
    bands = photo.pixels.shape[2] + (photo.alpha is not None)
    if photo.bits == 16 and (kind in ("JPEG", "BMP") or (kind == "TIFF" and bands > 1)):
        raise UserError(f"{path} cannot hold the 16 bits of the input; expected a name that ends in .png")
    if photo.alpha is not None and kind in ("JPEG", "BMP"):
        raise UserError(f"{path} cannot hold the transparency of the input; expected a name that ends in .png")
    if photo.profile and kind == "BMP":
        raise UserError(
            f"{path} cannot hold the colour profile of the input; expected a name that ends in .png or .jpg"
        )


def write_photo(path: Path, photo: Photo, *, durable: bool = True) -> None:
    """Write a photo atomically, the same bytes for the same values, clipped to 0 to 1.

    JPEG has quality 95, without subsampling; BMP has no place for EXIF and resolution. Errors: :func:`check_format`.
    """
    from PIL import Image

    check_format(path, photo)
    bands = [photo.pixels] + ([photo.alpha[:, :, None]] if photo.alpha is not None else [])
    values = np.clip(np.moveaxis(np.concatenate(bands, axis=2), 0, 1), 0.0, 1.0)
    whole = np.rint(values * np.float32(2**photo.bits - 1)).astype(np.uint16 if photo.bits == 16 else np.uint8)
    options: dict[str, Any] = {}
    kind = _NAMES[path.suffix.lower()]
    if photo.profile:
        options["icc_profile"] = photo.profile
    if photo.exif and kind != "BMP":
        options["exif"] = photo.exif
    if photo.dpi and kind != "BMP":
        options["dpi"] = photo.dpi
    if kind == "PNG":
        options["compress_level"] = _PNG_EFFORT
    if kind == "JPEG":
        options |= {"quality": _JPEG_QUALITY, "subsampling": 0}
    with atomic(path, durable=durable) as partial:
        if photo.bits == 16 and whole.shape[2] > 1:
            partial.write_bytes(_deep_png(whole, photo))
        else:
            image = Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole)
            image.save(partial, format=kind, **options)


def _deep_png(values: NDArray[np.uint16], photo: Photo) -> bytes:
    """PNG with several channels of 16 bits, which the library does not write.

    PNG specification, third edition (W3C 2025): every row is stored as the difference to the row above (filter 2).
    """
    rows, columns, bands = values.shape
    lines = values.astype(">u2").view(np.uint8).reshape(rows, -1)
    above = np.vstack([np.zeros_like(lines[:1]), lines[:-1]])
    filtered = np.empty((rows, lines.shape[1] + 1), dtype=np.uint8)
    filtered[:, 0], filtered[:, 1:] = 2, lines - above
    colour_type = {2: 4, 3: 2, 4: 6}[bands]
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 16, colour_type, 0, 0, 0))]
    if photo.profile:
        parts.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(photo.profile)))
    if photo.dpi:
        per_metre = [round(dots / 0.0254) for dots in photo.dpi]
        parts.append(_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if photo.exif:
        parts.append(_chunk(b"eXIf", photo.exif.removeprefix(b"Exif\0\0")))
    parts += [_chunk(b"IDAT", zlib.compress(filtered.tobytes(), _PNG_EFFORT)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
