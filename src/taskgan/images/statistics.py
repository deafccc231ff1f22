"""What an image is like, in a few numbers: by them a model knows an image of another kind."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_GAIN = 6.0  # standard deviation of the filter's answer to white noise of one
_GAUSS = 0.6745  # median absolute deviation of a normal variable
_LEAST = 64  # voxels
_EDGE = 8  # pixels of a thumbnail
_SHAPES = 8  # directions of thumbnails that a model remembers
_FEWEST_PHOTOS = 20


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of one image.

    Attributes:
        positive: Share of values above zero.
        noise: Standard deviation of the finest structure, by the mean of the foreground: noise of a volume, sharpness
            of a photo. A second difference along both axes of a slice takes out what is smooth (Immerkær 1996,
            doi:10.1006/cviu.1996.0060).
        contrast: Standard deviation of all values, by the mean of the foreground.
        sharpness: Of a photo: root mean square of its finest structure, by its standard deviation.
        thumbnail: Of a photo: the 64 means of its eighths, less their mean, of length one; zeros where it is flat.
    """

    positive: float
    noise: float
    contrast: float
    sharpness: float = 0.0
    thumbnail: NDArray[np.float32] | None = None


def photo_statistics(image: NDArray[np.float32]) -> ImageStatistics:
    """:func:`image_statistics` of a photo's luminance (X, Y, 1), with its sharpness and thumbnail."""
    from PIL import Image

    known, plane = image_statistics(image), image[:, :, 0]
    small = np.asarray(Image.fromarray(plane).resize((_EDGE, _EDGE), Image.Resampling.BOX), np.float32).ravel()
    small = small - small.mean()
    length, spread = float(np.linalg.norm(small)), float(plane.std(dtype=np.float64))
    fine = np.diff(np.diff(plane, 2, axis=0), 2, axis=1)
    sharpness = (
        float(np.sqrt(np.square(fine, dtype=np.float64).mean())) / _GAIN / spread if fine.size and spread else 0.0
    )
    return replace(known, sharpness=sharpness, thumbnail=small / length if length > 1e-3 else 0 * small)


def content_of(photos: Sequence[ImageStatistics]) -> dict[str, object]:
    """What photos show, as a model card keeps it: the main directions of their thumbnails.

    Returns:
        ``basis``, their digits as text, and ``unlike``, the largest share of a thumbnail that those of the other half
        of the photos do not explain; empty of fewer than 20 photos.
    """
    known = [one.thumbnail for one in photos if one.thumbnail is not None]
    small = np.stack(known) if known else np.zeros((0, _EDGE**2), np.float32)
    if len(small) < _FEWEST_PHOTOS:
        return {}
    halves = small[0::2], small[1::2]
    shares = [_unexplained(own, _basis(other)).max() for own, other in (halves, halves[::-1])]
    return {"basis": base64.b64encode(_basis(small).astype("<f2").tobytes()).decode(), "unlike": float(max(shares))}


def unlike_share(photo: ImageStatistics, basis: str) -> float:
    """Share of a photo's thumbnail, 0 to 1, that the main directions of others do not explain; 1 of a flat one."""
    directions = main_directions(basis)
    return float(_unexplained(np.atleast_2d(np.asarray(photo.thumbnail, np.float32)), directions)[0])


def main_directions(basis: str) -> NDArray[np.float32]:
    """(k, 64) of the text that a card has; a ValueError where it is no such text."""
    directions = np.frombuffer(base64.b64decode(basis, validate=True), "<f2").astype(np.float32)
    if not directions.size or not np.isfinite(directions).all():
        raise ValueError("expected the digits of some directions")
    return directions.reshape(-1, _EDGE**2)


def _basis(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.svd(thumbnails, full_matrices=False)[2][:_SHAPES])


def _unexplained(thumbnails: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 - np.square(thumbnails @ basis.T).sum(axis=1))


def image_statistics(image: NDArray[np.float32]) -> ImageStatistics:
    """Statistics of (X, Y, Z) in any units. The foreground is what lies above a tenth of the 99th percentile."""
    positive = float((image > 0).mean())
    inside = image > max(0.1 * float(np.percentile(image, 99)), 0.0)
    if min(image.shape[:2]) < 3 or inside.sum() < _LEAST:
        return ImageStatistics(positive, 0.0, 0.0)
    mean = float(image[inside].mean(dtype=np.float64))
    fine = np.diff(np.diff(image, 2, axis=0), 2, axis=1)[inside[1:-1, 1:-1]]
    noise = float(np.median(np.abs(fine))) / _GAUSS / _GAIN if fine.size else 0.0
    return ImageStatistics(positive, noise / mean, float(image.std(dtype=np.float64)) / mean)
