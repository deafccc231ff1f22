"""One look for all figures: colours that the colour-blind can tell apart, a marker a method; slices and maps."""

import base64
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from taskgan.core.files import atomic

# Okabe and Ito's palette; grey for what is not a method.
_COLOURS = {
    "input": "#767676",
    "clean": "#000000",
    "l1": "#0072B2",
    "gan": "#C44601",
    "task_gan": "#00795B",
    "cycle_gan": "#AA4499",
}
_SPARE = ("#8A6D00", "#332288", "#117733", "#882255")
_MARKERS = {"input": "x", "clean": "+", "l1": "s", "gan": "^", "task_gan": "o", "cycle_gan": "D"}
_SPARE_MARKERS = ("v", "P", "*", "h")
# A label of the property, where colour tells labels and not methods.
LABEL_STYLES = (("#0072B2", "o"), ("#C44601", "^"), ("#00795B", "s"), ("#AA4499", "D"), ("#8A6D00", "v"))
_LETTER = 0.68  # width of a bold letter, by the size of the font
_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a method or label may be called $\frac{1}$
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.formatter.useoffset": False,  # 0.50081, not 1e-5 and "+5.008e-1" in a corner
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def method_style(method: str, methods: Sequence[str]) -> tuple[str, str]:
    """Colour and marker of a method, the same in every figure of a report."""
    if method in _COLOURS:
        return _COLOURS[method], _MARKERS[method]
    others = [m for m in methods if m not in _COLOURS]
    index = others.index(method) % len(_SPARE)
    return _SPARE[index], _SPARE_MARKERS[index]


@contextmanager
def axes_figure(rows: int, columns: int, size: tuple[float, float], **options: Any) -> Iterator[tuple[Any, Any]]:
    """A figure, its width and height in inches, and its axes (rows, columns), closed in the end; needs no display."""
    with blank_figure(size) as figure:
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)


@contextmanager
def panel_axes(count: int, size: tuple[float, float], most: int = 4, **options: Any) -> Iterator[tuple[Any, list[Any]]]:
    """A figure with a number of panels of a size in inches, at most so many side by side; no empty places are drawn."""
    columns = min(count, most)
    rows = -(-count // columns)
    with axes_figure(rows, columns, (size[0] * columns, size[1] * rows), **options) as (figure, axes):
        for axis in axes.flat[count:]:
            axis.remove()
        yield figure, list(axes.flat[:count])


@contextmanager
def blank_figure(size: tuple[float, float]) -> Iterator[Any]:
    """A figure without axes, of a width and height in inches, for those that divide it themselves."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def set_heading(axis: Any, text: str, inches: float, size: float = 10, **style: Any) -> None:
    """A heading in as many lines as an axis of this width wants, so that it stays off its neighbour's."""
    letters = int(72 * inches / (_LETTER * size))
    axis.set_title("\n".join(textwrap.wrap(text, max(6, letters))), fontsize=size, **style)


def save_figure(figure: Any, path: Path, dpi: int = 130) -> Path:
    """Write a PNG atomically, without a time stamp or a version in it: the same figure, the same bytes."""
    with atomic(path) as partial:
        figure.savefig(partial, format="png", dpi=dpi, metadata={"Software": None})
    return path


def render_template(package: str, name: str, **values: object) -> str:
    """A page from a template of a package, e.g. ``taskgan.audit``; a value that is missing is an error."""
    from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

    def _text(package: str, name: str) -> str:
        return (resources.files(package) / "templates" / name).read_text(encoding="utf-8")

    shared = {part: _text("taskgan.report", part) for part in ("style.css", "macros.html", "viewer.js")}
    environment: Any = Environment(
        loader=DictLoader({**shared, name: _text(package, name)}),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return str(environment.get_template(name).render(**values))


Array = NDArray[np.float32]


def axial_view(data: Array, affine: NDArray[np.float64]) -> Array:
    """A volume (X, Y, Z) as it is displayed (H, W, Z): anterior up, the patient's right on the left (radiological).

    Axes are swapped and turned to the nearest of the affine's; nothing is resampled.
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
