"""Regions of the SUVR table, by rules on MNI coordinates, for grey matter.

The rules are boxes, planes and ellipses that follow the large landmarks (Sylvian fissure, central sulcus,
parieto-occipital sulcus, callosum, tentorium). They are not an atlas: they are good enough to give every
lobe its own uptake, and they hold for any head near MNI space without a registration.
"""

import numpy as np
from numpy.typing import NDArray

REGIONS = (
    "frontal",
    "lateral_temporal",
    "parietal",
    "occipital",
    "anterior_cingulate",
    "posterior_cingulate",
    "precuneus",
    "striatum",
    "thalamus",
    "cerebellar_grey",
    "mesial_temporal",
    "insula",
    "brainstem",
)
COMPOSITE = (
    "frontal",
    "lateral_temporal",
    "parietal",
    "occipital",
    "anterior_cingulate",
    "posterior_cingulate",
)
"""Their unweighted mean is the table's composite: 1.21 from the six negative means, 1.58 from the positive."""


def index(name: str) -> int:
    """Number of a region in :data:`REGIONS`."""
    return REGIONS.index(name)


def regions_at(points: NDArray[np.float32]) -> NDArray[np.int8]:
    """The region that grey matter belongs to.

    Args:
        points: MNI coordinates (3, ...) in mm: right, anterior, superior.

    Returns:
        (...) int8, indices into :data:`REGIONS`. Every point gets one; only grey matter means something.
    """
    side, y, z = np.abs(points[0]), points[1], points[2]
    central = -10.0 - 0.3 * (z - 20.0)
    sylvian = np.minimum(-8.0 + 0.55 * (10.0 - y), 20.0)
    # Each rule overrides the ones before it.
    regions = np.full(side.shape, index("parietal"), dtype=np.int8)
    regions[y > central] = index("frontal")
    temporal = (z < sylvian) & (y > -70) & (y < 24) & ((y < 6) | (z < -12))
    regions[temporal & (side >= 30)] = index("lateral_temporal")
    regions[temporal & (side < 30) & (z < -6)] = index("mesial_temporal")
    regions[(side < 32) & (y < -14) & (y > -60) & (z < 14)] = index("mesial_temporal")
    regions[((y < -72) & (z < 36)) | ((y < -58) & (z < 14) & (side < 36))] = index("occipital")
    regions[(side < 20) & (y < -42) & (y > -80) & (z > 22 + 0.35 * np.maximum(-58 - y, 0))] = index(
        "precuneus"
    )
    callosal = ((y + 5.0) / 52.0) ** 2 + ((z - 8.0) / 36.0) ** 2
    ring = (side < 14) & (callosal < 1.15) & (z > -10)
    regions[ring & (y > 0)] = index("anterior_cingulate")
    regions[ring & (y < -16) & (y > -62) & (z > 10)] = index("posterior_cingulate")
    regions[(side >= 30) & (side < 42) & (y > -20) & (y < 26) & (z > -12) & (z < 16)] = index("insula")
    regions[(side < 31) & (y > -20) & (y < 22) & (z > -12) & (z < 22) & (side > 5)] = index("striatum")
    regions[(side < 23) & (y > -34) & (y < -3) & (z > -4) & (z < 18)] = index("thalamus")
    regions[(side < 17) & (y > -46) & (y < -8) & (z < -8)] = index("brainstem")
    # The tentorium falls away from the midline and, under the temporal lobe, forwards.
    lateral = -18.0 - 0.2 * np.maximum(side - 14.0, 0.0) - 0.3 * np.maximum(y + 60.0, 0.0) * side / 40.0
    tentorium = np.where(side < 14, -8.0, lateral)
    regions[(y < -34) & (z < tentorium) & ((side >= 12) | (y < -46))] = index("cerebellar_grey")
    return regions


def reference_at(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where cerebellar grey is far enough from the occipital lobe to be the reference of an SUVR."""
    side, y, z = np.abs(points[0]), points[1], points[2]
    return np.asarray((y < -40) & (z < -28) & (side > 8))
