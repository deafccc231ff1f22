"""A head of simple shapes with tissue masks, and its images in a few contrasts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPE = (64, 72, 6)
VOXEL = (2.0, 2.0, 5.0)
AFFINE = np.diag([*VOXEL, 1.0])
Array = NDArray[Any]
# Signal of white, grey, CSF and lesion; skull and scalp are as white.
SIGNALS = {"T1w": (1.0, 0.75, 0.3, 0.85), "T2w": (1.0, 1.5, 3.0, 1.9), "T2-FLAIR": (1.0, 1.2, 0.1, 1.6)}


def brain_masks(lesions: int, rng: np.random.Generator) -> dict[str, Array]:
    """White matter with two ventricles, a ribbon of grey matter, CSF around it, and round lesions in white matter."""
    x, y, _ = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in SHAPE), indexing="ij")
    radius = np.sqrt((x / 26) ** 2 + (y / 30) ** 2)
    ventricle = ((np.abs(x) - 5) / 3) ** 2 + (y / 9) ** 2 < 1
    white = (radius < 0.78) & ~ventricle
    grey = (radius >= 0.78) & (radius < 0.9)
    csf = ((radius >= 0.9) & (radius < 1.0)) | ventricle
    sick = np.zeros(SHAPE, dtype=bool)
    for k in range(lesions):
        angle = 2 * np.pi * (k + rng.uniform(0, 0.5)) / max(lesions, 1)
        cx, cy, z = 14 * np.cos(angle), 16 * np.sin(angle), int(rng.integers(1, SHAPE[2] - 1))
        disc = (x - cx) ** 2 + (y - cy) ** 2 <= rng.uniform(1.6, 3.0) ** 2
        sick[:, :, z] |= disc[:, :, z] & white[:, :, z]
    return {
        "mask": radius < 1.1,
        "brain": white | grey,
        "white": white & ~sick,
        "grey": grey,
        "csf": csf,
        "lesions": sick,
    }


def contrast_image(masks: dict[str, Array], contrast: str, rng: np.random.Generator, noise: float = 0.04) -> Array:
    """A clean image of a contrast: the masks' signals with noise, non-negative, white matter at 100."""
    white, grey, csf, lesion = SIGNALS[contrast]
    image = np.where(masks["mask"], white, 0.0)
    for name, signal in (("white", white), ("grey", grey), ("csf", csf), ("lesions", lesion)):
        image[masks[name]] = signal
    return np.maximum(100 * (image + noise * rng.normal(size=SHAPE)), 0).astype(np.float32)
