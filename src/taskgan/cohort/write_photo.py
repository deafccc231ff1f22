"""Photos to image files: the format that the name says, no value and no colour lost silently."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.photos import Photo
from taskgan.core.errors import UserError
from taskgan.core.files import atomic

Array = NDArray[np.float32]

_JPEG_QUALITY = 95
_PNG_EFFORT = 3  # of 9: half the time of 6 for a tenth more bytes
_NAMES = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG", ".bmp": "BMP"}


def with_luminance(photo: Photo, luminance: Array) -> Photo:
    """A photo with other luminance and its own colour differences (Cb, Cr of YCbCr), clipped to 0 to 1.

    Y's weights add up to one, so that a change of Y alone changes red, green and blue by the same.

    Args:
        photo: Grey or colour.
        luminance: (X, Y), the photo's shape.
    """
    grey = photo.pixels.shape[2] == 1
    pixels = luminance[:, :, None] if grey else photo.pixels + (luminance - photo.luminance)[:, :, None]
    return replace(photo, pixels=np.clip(pixels, 0.0, 1.0).astype(np.float32))


def check_format(path: Path, photo: Photo) -> None:
    """Refuse a file format that cannot hold a photo.

    Raises:
        UserError: If its transparency, its colour profile or half of its bits would be lost.
    """
    kind = _NAMES[path.suffix.lower()]
    if photo.bits == 16 and (kind in ("JPEG", "BMP") or (kind == "TIFF" and _bands(photo) > 1)):
        raise UserError(f"{path} cannot hold the 16 bits of the input; expected a name that ends in .png")
    if photo.alpha is not None and kind in ("JPEG", "BMP"):
        raise UserError(
            f"{path} cannot hold the transparency of the input; expected a name that ends in .png"
        )
    if photo.profile and kind == "BMP":
        raise UserError(
            f"{path} cannot hold the colour profile of the input; expected a name that ends in .png or .jpg"
        )


def write_photo(path: Path, photo: Photo, *, durable: bool = True) -> None:
    """Write a photo atomically, the same bytes for the same values. JPEG has quality 95, without subsampling.

    BMP has no place for EXIF and resolution.

    Args:
        path: Ends in a suffix of :data:`~taskgan.cohort.photos.PHOTO_SUFFIXES`.
        photo: Values outside 0 to 1 are clipped.
        durable: See :func:`~taskgan.core.files.atomic`.

    Raises:
        UserError: See :func:`check_format`.
    """
    from PIL import Image

    check_format(path, photo)
    bands = [photo.pixels] + ([photo.alpha[:, :, None]] if photo.alpha is not None else [])
    values = np.clip(np.moveaxis(np.concatenate(bands, axis=2), 0, 1), 0.0, 1.0)
    whole = np.rint(values * np.float32(2**photo.bits - 1)).astype(
        np.uint16 if photo.bits == 16 else np.uint8
    )
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


def _bands(photo: Photo) -> int:
    return int(photo.pixels.shape[2]) + (photo.alpha is not None)


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
