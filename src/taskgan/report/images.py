"""Figure 3: input, methods and truth of one case, with a detail and the errors, on common scales."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.core.errors import UserError
from taskgan.images.volumes import Volume, read_volume
from taskgan.page.cells import display_name, report_texts
from taskgan.page.style import Array, axes_figure, axial_view, head_window, save_figure, set_heading
from taskgan.report.load import Comparison
from taskgan.report.metrics import PSNR
from taskgan.report.paired import by_case

INCHES = 1.75  # of a column
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SelectedCase:
    """A case of Figure 3.

    Attributes:
        case: Its name.
        criterion: The rule that picked it, e.g. ``median positive``.
        psnr_difference: PSNR difference of the focus method to the baseline, dB.
    """

    case: str
    criterion: str
    psnr_difference: float


def selection_rule(comparison: Comparison) -> str:
    """The rule in words, with the methods' names."""
    rule = report_texts("rules")["photos" if comparison.photos else "volumes"]
    return str(rule).format(focus=display_name(comparison.focus), baseline=display_name(comparison.baseline))


def choose_cases(comparison: Comparison) -> list[SelectedCase]:
    """Median and worst case of each label (of all cases where labels are unknown), each case once."""
    gap = psnr_differences(comparison)
    labels = comparison.frame.drop_duplicates("case").set_index("case")["label"]
    groups: list[tuple[str, pd.Series]] = []
    # Of photos labels are mostly names, as those of people, and not signs of a disease.
    for word, positive in () if comparison.photos else (("positive", True), ("negative", False)):
        cases = [c for c in gap.index if labels[c] == labels[c] and (labels[c] > 0.5) == positive]
        groups.append((word, gap[cases]))
    if not any(len(differences) for _, differences in groups):
        groups = [("case", gap)]
    chosen: dict[str, SelectedCase] = {}
    for word, differences in groups:
        ordered = differences.sort_values(kind="stable")
        if not len(ordered):
            continue
        for why, place in (("median", (len(ordered) - 1) // 2), ("worst", 0)):
            case = str(ordered.index[place])
            chosen.setdefault(case, SelectedCase(case, f"{why} {word}", float(ordered.iloc[place])))
    return list(chosen.values())


def psnr_differences(comparison: Comparison) -> pd.Series:
    """PSNR of the focus method minus that of what it is set against, by case; its own where there is nothing."""
    own = by_case(comparison, comparison.focus, PSNR)
    if comparison.contrast_method is not None:
        own = own - by_case(comparison, comparison.contrast_method, PSNR)
    return own.dropna()


def choose_slice(clean: NDArray[np.float32], cortex: Mask | None) -> int:
    """Index along the third axis of the slice with the most cortex, else with the highest uptake."""
    amount = cortex.sum(axis=(0, 1)) if cortex is not None and cortex.any() else clean.sum(axis=(0, 1))
    return int(np.argmax(amount))


def choose_detail(difference: NDArray[np.float32], share: float = 0.36) -> tuple[slice, slice]:
    """The square window, inside the image, in which |difference| (H, W) is largest: slices of rows and columns.

    Its side is a share of the shorter side of the image.
    """
    side = max(4, round(share * min(difference.shape)))
    mass = ndimage.uniform_filter(np.abs(difference).astype(np.float64), side, mode="constant")
    half = side // 2
    inside = mass[half : difference.shape[0] - side + half + 1, half : difference.shape[1] - side + half + 1]
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(inside)), inside.shape))
    return slice(row, row + side), slice(column, column + side)


@dataclass(frozen=True)
class Panels:
    """What is shown of one case: one slice in its figure, every slice in the viewer.

    Attributes:
        volumes: (H, W, Z) of every column as it is displayed, by method; ``clean`` is one of them.
        z: The slice of the figure.
        box: The rows and columns of it that the figure shows.
        aspect: Height over width of a voxel.
        unit: What the colour bar measures.
    """

    volumes: dict[str, Array]
    z: int
    box: tuple[slice, slice]
    aspect: float
    unit: str
    colours: ClassVar[str] = "gray_r"
    headroom: ClassVar[float] = 1.15

    @property
    def images(self) -> dict[str, Array]:
        """The slice (H, W) of every column, anterior up."""
        return {m: volume[*self.box, self.z] for m, volume in self.volumes.items()}

    @property
    def errors(self) -> dict[str, Array]:
        """Image − clean of all but the clean one."""
        images = self.images
        return {m: image - images["clean"] for m, image in images.items() if m != "clean"}

    @property
    def top(self) -> float:
        """The value where the scale of intensities ends, which begins at 0."""
        return self.headroom * max(float(np.percentile(self.images["clean"], 99.8)), 1e-6)

    @property
    def worst(self) -> float:
        """The error at both ends of the scale of errors."""
        restored = np.stack([error for m, error in self.errors.items() if m != "input"])
        return max(float(np.percentile(np.abs(restored), 99.8)), 1e-6)


def load_panels(comparison: Comparison, case: str) -> Panels | None:
    """Read one case's images; None where one is gone.

    Where the reference region is known, all images are divided by the clean image's mean in it (SUVR): one
    number for the whole case, so that a method that is too bright looks too bright.
    """
    firsts = first_seeds(comparison, "case", case, ("input", *comparison.methods, "clean"))
    try:
        volumes = {m: read_volume(Path(row["restored"])) for m, row in firsts.items()}
        truth = volumes["clean"]
        cortex, reference = (read_mask(firsts["clean"], column, truth.axes) for column in ("cortex", "reference"))
    except UserError:
        return None
    scale, unit = 1.0, "image units"
    if reference is not None and reference.any():
        scale, unit = float(truth.data[reference].mean()), "SUVR"
    whole = axial_view(truth.data, truth.affine)
    z = choose_slice(whole, None if cortex is None else displayed_mask(cortex, truth))
    shown = {m: axial_view(v.data, v.affine) / np.float32(scale) for m, v in volumes.items()}
    return Panels(shown, z, head_window(whole[:, :, z]), voxel_aspect(truth), unit)


def first_seeds(comparison: Comparison, column: str, value: str, order: Iterable[str]) -> dict[str, "pd.Series[Any]"]:
    """The row of the lowest seed of each method, of those whose column (``case``, ``subject``) has a value."""
    rows = comparison.frame[comparison.frame[column].astype(str) == value].sort_values("seed", kind="stable")
    return {method: own.iloc[0] for method in order if len(own := rows[rows["method"] == method])}


def read_mask(row: "pd.Series[Any]", column: str, axes: str) -> Mask | None:
    """The mask (X, Y, Z) that a row names, in axes; None where it names none."""
    return np.asarray(read_volume(Path(row[column]), axes=axes).data > 0.5) if row[column] else None


def displayed_mask(mask: Mask, truth: Volume) -> Mask:
    """A mask on the grid of a volume as :func:`axial_view` shows it."""
    return np.asarray(axial_view(mask.astype(np.float32), truth.affine) > 0.5)


def voxel_aspect(volume: Volume) -> float:
    """Height over width of a voxel as :func:`axial_view` shows it."""
    turned = nib.orientations.io_orientation(volume.affine)
    edge = {int(axis): volume.voxel_size[k] for k, axis in enumerate(turned[:, 0])}
    return edge[1] / edge[0]


def case_figure(comparison: Comparison, panels: Panels, path: Path) -> Path:
    """Draw one case: whole slice, detail, error.

    Intensities are inverse grey, as readers of PET use it, 0 to 1.15 times the clean slice's 99.8th percentile
    for all columns. Errors are image − clean, on one scale for all columns that is symmetric about zero and set
    by the restored images; the input's may exceed it.
    """
    images = panels.images
    window = choose_detail(images[comparison.focus] - images[comparison.contrast_method or "clean"])

    def _show(axis: Any, image: Array) -> Any:
        return show_slice(axis, image, panels.colours, (0, panels.top), panels.aspect)

    def _sides(axes: Any) -> None:
        for x, side in ((0.02, "R"), (0.98, "L")):
            place = {"transform": axes[0][0].transAxes, "fontsize": 8, "color": "#555555"}
            axes[0][0].text(x, 0.02, side, ha="left" if side == "R" else "right", **place)

    units = (panels.unit, f"error ({panels.unit})")
    return column_figure(
        path, images, panels.errors, window, _show, panels.worst, aspect=panels.aspect, units=units, finish=_sides
    )


def column_figure(
    path: Path,
    images: Mapping[str, Array],
    errors: Mapping[str, Array],
    window: tuple[slice, slice],
    show: Callable[[Any, Array], Any],
    worst: float,
    *,
    titles: Sequence[str] = ("Slice", "Detail", "Image − clean"),
    aspect: float = 1.0,
    units: tuple[str, str] = ("", ""),
    finish: Callable[[Any], None] = lambda axes: None,
) -> Path:
    """A column a kind of image: the whole, a detail (the window), the error.

    Images are (H, W), or (H, W, 3) of colours, and errors image − clean (H, W) up to ±worst, by method; those of the
    clean image are none. ``show`` draws an image and gives what a colour bar needs, or None for no bar; ``aspect`` is
    the height over width of a voxel, ``units`` are of the two colour bars. A fourth title is of a row that ``finish``
    draws.
    """
    height, width = next(iter(errors.values())).shape
    tall = height / width * aspect
    heights = (tall, aspect, tall, *[1.0] * (len(titles) - 3))
    ratios = {"height_ratios": heights, "width_ratios": (*(1,) * len(images), 0.07)}
    size = (INCHES * len(images) + 0.8, INCHES * sum(heights) + 0.5)
    with axes_figure(len(heights), len(images) + 1, size, gridspec_kw=ratios) as (figure, axes):
        for column, (method, image) in enumerate(images.items()):
            grey = show(axes[0][column], image)
            set_heading(axes[0][column], display_name(method), INCHES)
            draw_frame(axes[0][column], window)
            show(axes[1][column], image[window])
            axes[2][column].set_axis_off()
            if method in errors:
                error = show_slice(axes[2][column], errors[method], "RdBu_r", (-worst, worst), aspect)
        for row, title in zip(axes, titles, strict=True):
            beside = {"transform": row[0].transAxes, "rotation": 90, "fontweight": "bold"}
            row[0].text(-0.06, 0.5, title, ha="right", va="center", **beside)
            row[-1].set_axis_off()
        for row, artist, unit in ((axes[0], grey, units[0]), (axes[2], error, units[1])):
            if artist is not None:
                row[-1].set_axis_on()
                figure.colorbar(artist, cax=row[-1], label=unit)
        finish(axes)
        return save_figure(figure, path)


def show_slice(axis: Any, image: Array, colours: str, limits: tuple[float, float], aspect: float) -> Any:
    """An image (H, W) without axes; what a colour bar needs."""
    low, high = limits
    artist = axis.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest", aspect=aspect)
    axis.set_axis_off()
    return artist


def draw_frame(axis: Any, window: tuple[slice, slice]) -> None:
    """The frame of a detail, in its slice."""
    from matplotlib.patches import Rectangle

    rows, columns = window
    corner = (columns.start - 0.5, rows.start - 0.5)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="#C44601", linewidth=1.2))
