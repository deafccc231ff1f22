"""Faces by their pixels: what eigenfaces are made of (Turk and Pentland 1991, 10.1162/jocn.1991.3.1.71).

Each image is made small, loses its mean and is divided by its standard deviation. The mean with the mirrored image is
taken, as for the texture. As a setting, every pixel is compared with its own neighbourhood first, whose mean it loses
and by whose standard deviation it is divided (Xie and Lam 2006, 10.1016/j.patrec.2005.09.026); on LFW that gained
nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float32]

_FLAT = (
    0.05  # share of an image's own variance that is added to a neighbourhood's, where nothing is to be seen
)
_CUT = 2.5  # standard deviations at which the neighbourhood ends


@dataclass(frozen=True)
class Pixels:
    """Features of a face.

    Attributes:
        edge: Pixels that its shorter edge is brought to; a smaller image stays as it is.
        neighbourhood: Standard deviation of the Gaussian that is a pixel's neighbourhood, of those pixels; 0 compares
            with the whole image.
    """

    edge: int = 48
    neighbourhood: float = 0.0

    source = ("10.1162/jocn.1991.3.1.71", "10.1016/j.patrec.2005.09.026", "10.5244/C.26.99")

    def __call__(self, image: Array) -> Array:
        """Features (F,) of a grey face (H, W), rows first; brightness and contrast make no difference.

        A mirrored image has the same ones, so that only the left half is kept. Of a flat image all are zero.
        """
        small = resized(image, small_shape(image.shape[0], image.shape[1], self.edge)).astype(np.float64)
        small -= small.mean()
        variance = small.var()
        if not variance > 1e-12 * max(1.0, float(np.abs(image).max()) ** 2):
            small = np.zeros_like(small)
        elif self.neighbourhood:
            small = small - gaussian_filter(small, self.neighbourhood, truncate=_CUT)
            spread = gaussian_filter(small**2, self.neighbourhood, truncate=_CUT)
            small = small / np.sqrt(spread + _FLAT * spread.mean())
            small = (small - small.mean()) / small.std()
        else:
            small = small / np.sqrt(variance)
        both = (small + small[:, ::-1]) / 2
        return np.asarray(both[:, : (both.shape[1] + 1) // 2], dtype=np.float32).ravel()


def small_shape(height: int, width: int, edge: int) -> tuple[int, int]:
    """Size of an image whose shorter edge is brought to ``edge``, if it is longer."""
    scale = min(1.0, edge / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(image: Array, shape: tuple[int, int]) -> Array:
    """(H, W) at another size, bilinear; what is made smaller is averaged, not skipped."""
    if image.shape == shape:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), dtype=np.float32)
