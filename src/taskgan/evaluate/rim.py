"""The bright rim where brain and CSF share a voxel: what a fit of one tissue a voxel makes of a T2-FLAIR."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.evaluate.regions import region_ratio

Mask = NDArray[np.bool_]
MIN_EDGE_VOXELS = 10
"""Voxels of a border whose mean is worth a number."""
# Neighbours in the same slice, diagonal ones too: slices are too thick for a neighbour above to share a border.
_NEIGHBOURHOOD = np.ones((3, 3, 1), dtype=bool)


def brain_csf_border(brain: Mask, csf: Mask, *, without: Mask | None = None) -> Mask:
    """Voxels between brain and CSF (X, Y, Z): not pure CSF, beside a voxel that is, and brain or beside brain.

    Their signal is the sum of what both tissues give. A relaxation fit sees in them one tissue with parameters in
    between, which an inversion pulse that nulls CSF no longer nulls: synthetic T2-FLAIR is too bright along sulci and
    ventricles (Tanenbaum et al. 2017, 10.3174/ajnr.A5227; Hagiwara et al. 2019, 10.3174/ajnr.A5927).

    Args:
        brain: Most of the voxel is brain tissue.
        csf: Nearly pure CSF.
        without: Voxels that do not count, e.g. lesions, which are bright by right.
    """
    edge = (
        ndimage.binary_dilation(csf, _NEIGHBOURHOOD) & ndimage.binary_dilation(brain, _NEIGHBOURHOOD) & ~csf
    )
    return np.asarray(edge if without is None else edge & ~without)


def rim_ratio(image: NDArray[np.float32], edge: Mask, white: Mask) -> float:
    """Mean signal of the border over that of white matter; NaN for fewer than :data:`MIN_EDGE_VOXELS` voxels.

    Meaningful by itself where CSF is dark (T2-FLAIR, T1-weighted); against the true image's in any contrast.

    Args:
        image: (X, Y, Z), any units.
        edge: From :func:`brain_csf_border`.
        white: Pure white matter, the reference.
    """
    return region_ratio(image, edge, white & ~edge, least=MIN_EDGE_VOXELS)
