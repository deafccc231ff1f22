"""Pictures that several pages show: slices, figures with captions, maps of distances."""

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from taskgan.page.style import LABEL_STYLES

Array = NDArray[np.float32]


def axial_view(data: Array, affine: NDArray[np.float64]) -> Array:
    """A volume as it is displayed (H, W, Z): anterior up, the patient's right on the left (radiological).

    Args:
        data: (X, Y, Z) in the file's axes.
        affine: Its voxel-to-world matrix; axes are swapped and turned to the nearest, nothing is resampled.
    """
    turned = nib.orientations.apply_orientation(data, nib.orientations.io_orientation(affine))
    return np.ascontiguousarray(np.moveaxis(turned[::-1, ::-1, :], 0, 1))


def head_window(image: Array, margin: int = 3) -> tuple[slice, slice]:
    """The window of a slice (H, W) that holds what is brighter than a tenth of its 99th percentile."""
    bright = image > 0.1 * float(np.percentile(image, 99))
    if not bright.any():
        return slice(None), slice(None)
    window = []
    for axis, size in ((1, image.shape[0]), (0, image.shape[1])):
        places = np.flatnonzero(bright.any(axis=axis))
        window.append(slice(max(0, int(places[0]) - margin), min(size, int(places[-1]) + margin + 1)))
    return window[0], window[1]


@dataclass(frozen=True)
class PageFigure:
    """A figure of the page: its file, a heading, and what it shows."""

    path: Path
    title: str
    caption: str

    @property
    def uri(self) -> str:
        """The file as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode("ascii")


_KINDS = 12  # labels that are told apart


def draw_mapping(
    axis: Any, clean: NDArray[np.float64], restored: NDArray[np.float64], labels: NDArray[np.float64], size: float = 4.5
) -> None:
    """Lines from clean (hollow) to restored (filled) positions (N, 2), coloured and shaped by label (N,)."""
    # Labels that are names, as of people, no colours could tell apart.
    several = len(np.unique(labels[~np.isnan(labels)])) <= _KINDS
    labels = labels if several else np.full(len(labels), np.nan)
    kinds = [*np.unique(labels[~np.isnan(labels)]), *([math.nan] if np.isnan(labels).any() else [])]
    for index, label in enumerate(kinds):
        mine = np.isnan(labels) if math.isnan(label) else labels == label
        colour, marker = LABEL_STYLES[index % len(LABEL_STYLES)]
        name = "no label, " if math.isnan(label) else f"label {label:g}, "
        name = name if several else ""
        lines = np.full((3 * int(mine.sum()), 2), np.nan)
        lines[0::3], lines[1::3] = clean[mine], restored[mine]
        axis.plot(*lines.T, color=colour, linewidth=0.7, alpha=0.45)
        style = {"linestyle": "none", "marker": marker, "markersize": size, "markeredgecolor": colour}
        axis.plot(*clean[mine].T, markerfacecolor="white", label=f"{name}clean", **style)
        axis.plot(*restored[mine].T, markerfacecolor=colour, label=f"{name}image", **style)
