"""Photos of one case: input, methods and the clean one, with a detail and the errors."""

from pathlib import Path

import numpy as np

from taskgan.report.choose import SelectedCase, choose_detail
from taskgan.report.images import draw_frame, show_slice
from taskgan.report.load import Comparison
from taskgan.report.names import display_name
from taskgan.report.pictures import luminance, photo_paths, read_photos, show_photo
from taskgan.report.style import axes_figure, save_figure

_INCHES = 1.75  # of a picture


def photo_figure(comparison: Comparison, chosen: SelectedCase, path: Path) -> Path | None:
    """Draw one case: the whole photo, a detail, the error of its luminance; None where its images are gone.

    Errors are image − clean on one scale for all columns that is symmetric about zero and set by the restored
    images; the input's may exceed it.
    """
    pictures = read_photos(photo_paths(comparison, chosen.case))
    if pictures is None or "clean" not in pictures or comparison.focus not in pictures:
        return None
    plain = {method: luminance(picture) for method, picture in pictures.items()}
    truth = plain["clean"]
    if any(picture.shape != truth.shape for picture in plain.values()):
        return None
    other = comparison.contrast_method if comparison.contrast_method in plain else "clean"
    window = choose_detail(plain[comparison.focus] - plain[str(other)])
    errors = {method: picture - truth for method, picture in plain.items() if method != "clean"}
    restored = np.stack([error for method, error in errors.items() if method != "input"])
    worst = max(float(np.percentile(np.abs(restored), 99.5)), 1e-6)
    tall = truth.shape[0] / truth.shape[1]
    ratios = {"height_ratios": (tall, 1.0, tall), "width_ratios": (*(1,) * len(pictures), 0.07)}
    size = (_INCHES * len(pictures) + 0.8, _INCHES * (2 * tall + 1.0) + 0.5)
    with axes_figure(3, len(pictures) + 1, size, gridspec_kw=ratios) as (figure, axes):
        for column, (method, picture) in enumerate(pictures.items()):
            show_photo(axes[0][column], picture)
            axes[0][column].set_title(display_name(method))
            draw_frame(axes[0][column], window)
            show_photo(axes[1][column], picture[window])
            axes[2][column].set_axis_off()
            if method != "clean":
                error = show_slice(axes[2][column], errors[method], "RdBu_r", (-worst, worst), 1.0)
        for row, name in enumerate(("Photo", "Detail", "Image − clean")):
            beside = {"transform": axes[row][0].transAxes, "rotation": 90, "fontweight": "bold"}
            axes[row][0].text(-0.06, 0.5, name, ha="right", va="center", **beside)
        for row in (0, 1):
            axes[row][-1].set_axis_off()
        figure.colorbar(error, cax=axes[2][-1], label="error (white is 1)")
        return save_figure(figure, path)
