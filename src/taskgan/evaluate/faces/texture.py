"""Faces by their texture at several scales: what a judge that was told no identity makes of an image.

Histograms of uniform local binary patterns in a grid of regions (Ahonen et al. 2006, 10.1109/TPAMI.2006.244) at
several radii (Chan et al. 2007, 10.1007/978-3-540-74549-5_85), square roots of the counts, so that products of
descriptors are Hellinger's kernel (Arandjelović and Zisserman 2012, 10.1109/CVPR.2012.6248018), and the mean with
those of the mirrored image (as Hussain et al. 2012, 10.5244/C.26.99, who average distances).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taskgan.evaluate.faces.lbp import MIRRORED, PATTERNS, lbp_codes

Array = NDArray[np.float32]

EDGE = 128
"""Pixels along the shorter edge of an image for which radii are given."""
_LEAST = 1.0  # pixels: nearer neighbours are the same ones, interpolated


@dataclass(frozen=True)
class Texture:
    """Features of a face.

    Attributes:
        radii: Of the circles of neighbours, pixels of an image whose shorter edge has 128; they grow and shrink with
            the image down to one pixel, and what is then the same counts once.
        regions: Rows and columns of the grid.
    """

    radii: tuple[float, ...] = (1.0, 2.0, 4.0)
    regions: int = 10

    source = (
        "10.1109/TPAMI.2006.244",
        "10.1007/978-3-540-74549-5_85",
        "10.1109/CVPR.2012.6248018",
        "10.5244/C.26.99",
    )

    def __call__(self, image: Array) -> Array:
        """Features (F,) of a grey face (H, W), rows first, at least 32×32.

        Brightness and contrast make no difference. A mirrored image has the same features, so that
        only the left half of the grid is kept.
        """
        scale = min(image.shape) / EDGE
        radii = dict.fromkeys(max(_LEAST, radius * scale) for radius in self.radii)
        return np.concatenate([self._at(image, radius) for radius in radii])

    def _at(self, image: Array, radius: float) -> Array:
        codes = lbp_codes(image[None], radius=radius)[0]
        rows, columns = (_regions(length, self.regions) for length in codes.shape)
        place = (rows[:, None] * self.regions + columns) * PATTERNS
        counts = np.bincount((codes + place).ravel(), minlength=self.regions**2 * PATTERNS)
        grid = counts.reshape(self.regions, self.regions, PATTERNS)
        roots = np.sqrt(grid / np.maximum(grid.sum(axis=2, keepdims=True), 1))
        both = (roots + roots[:, ::-1, MIRRORED]) / 2
        return np.asarray(both[:, : (self.regions + 1) // 2], dtype=np.float32).ravel()


def _regions(length: int, count: int) -> NDArray[np.intp]:
    """(length,) which of the regions each pixel is in; the same from both ends but for an odd middle."""
    left = [round(k * length / count) for k in range(1, (count + 1) // 2)]
    middle = [length // 2] if count % 2 == 0 else []
    ends = np.array([*left, *middle, *(length - end for end in reversed(left))], dtype=np.intp)
    return np.searchsorted(ends, np.arange(length), side="right")
