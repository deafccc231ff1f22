"""Figure 3: input, methods and truth of one case, with a detail and the errors, on common scales."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import read_volume
from taskgan.errors import UserError
from taskgan.report.choose import Chosen, choose_detail, choose_slice
from taskgan.report.load import Comparison, shown
from taskgan.report.style import canvas, save

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Panels:
    """What one case shows.

    Attributes:
        images: Axial slice (H, W) of every column, anterior up, by method; the last is ``clean``.
        unit: What the colour bar measures.
    """

    images: dict[str, Array]
    unit: str


def axial(data: Array, affine: NDArray[np.float64]) -> Array:
    """A volume as it is displayed (H, W, Z): anterior up, the patient's right on the left (radiological).

    Args:
        data: (X, Y, Z) in the file's axes.
        affine: Its voxel-to-world matrix; axes are swapped and turned to the nearest, nothing is resampled.
    """
    turned = nib.orientations.apply_orientation(data, nib.orientations.io_orientation(affine))
    return np.ascontiguousarray(np.moveaxis(turned[::-1, ::-1, :], 0, 1))


def load_panels(comparison: Comparison, case: str) -> Panels | None:
    """Read one case's images; None where one is gone.

    Where the reference region is known, all images are divided by the clean image's mean in it (SUVR): one
    number for the whole case, so that a method that is too bright looks too bright.
    """
    rows = comparison.frame[comparison.frame["case"] == case].sort_values("seed", kind="stable")
    order = ["input", *comparison.methods, "clean"]
    paths = {m: Path(found.iloc[0]["restored"]) for m in order if len(found := rows[rows["method"] == m])}
    try:
        volumes = {m: read_volume(path) for m, path in paths.items()}
        first = rows.iloc[0]
        masks = {
            c: read_volume(Path(first[c])).data > 0.5 if first[c] else None for c in ("cortex", "reference")
        }
    except UserError:
        return None
    truth = volumes["clean"]
    reference = masks["reference"]
    scale, unit = 1.0, "image units"
    if reference is not None and reference.any():
        scale, unit = float(truth.data[reference].mean()), "SUVR"
    cortex = masks["cortex"]
    seen = axial(cortex.astype(np.float32), truth.affine) > 0.5 if cortex is not None else None
    z = choose_slice(axial(truth.data, truth.affine), seen)
    return Panels({m: axial(v.data, v.affine)[:, :, z] / np.float32(scale) for m, v in volumes.items()}, unit)


def case_figure(comparison: Comparison, chosen: Chosen, path: Path) -> Path | None:
    """Draw one case: whole slice, detail, error; None where its images are gone.

    Intensities are inverse grey, as readers of PET use it, 0 to the clean slice's 99.8th percentile for all
    columns; errors are image − clean on one scale symmetric about zero.
    """
    panels = load_panels(comparison, chosen.case)
    if panels is None:
        return None
    images, truth = panels.images, panels.images["clean"]
    baseline = comparison.baseline if comparison.baseline != comparison.focus else "input"
    window = choose_detail(images[comparison.focus] - images[baseline])
    top = float(np.percentile(truth, 99.8))
    errors = {m: image - truth for m, image in images.items() if m != "clean"}
    worst = float(np.percentile(np.abs(np.stack(list(errors.values()))), 99.5))
    height, width = truth.shape
    tall = 1.9 * (2 * height / width + 1)
    with canvas(
        3,
        len(images),
        (1.9 * len(images) + 0.9, tall + 0.5),
        height_ratios=(height / width, 1, height / width),
    ) as (
        figure,
        axes,
    ):
        for column, (method, image) in enumerate(images.items()):
            grey = _show(axes[0][column], image, "gray_r", 0, top)
            axes[0][column].set_title(shown(method))
            _frame(axes[0][column], window)
            _show(axes[1][column], image[window], "gray_r", 0, top)
            if method != "clean":
                error = _show(axes[2][column], errors[method], "RdBu_r", -worst, worst)
        axes[2][-1].axis("off")
        for row, name in enumerate(("Slice", "Detail", "Error")):
            axes[row][0].set_ylabel(name, fontweight="bold")
        axes[0][0].text(0.02, 0.02, "R", transform=axes[0][0].transAxes, fontsize=8)
        axes[0][0].text(0.98, 0.02, "L", transform=axes[0][0].transAxes, fontsize=8, ha="right")
        figure.colorbar(grey, ax=axes[:2, -1], label=panels.unit, shrink=0.8, aspect=25)
        figure.colorbar(error, ax=axes[2, -1], label=f"error ({panels.unit})", shrink=0.9, location="left")
        return save(figure, path)


def _show(axis: Any, image: Array, colours: str, low: float, high: float) -> Any:
    drawn = axis.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)
    return drawn


def _frame(axis: Any, window: tuple[slice, slice]) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = window
    corner = (columns.start - 0.5, rows.start - 0.5)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="#C44601", linewidth=1.2))
