"""The viewer of the page: the cases of Figure 3 slice by slice, as data that ``templates/viewer.js`` shows."""

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.page.cells import display_name
from taskgan.page.style import Array, head_window
from taskgan.report.images import Panels

SIZES = ((128, 64), (128, 32), (64, 32))
"""Of a volume in the page: larger edge in pixels and slices, at most; the first of these for which there is room."""
ROOM = 3_000_000
"""Bytes that the volumes take in the page, at most."""


class Viewer:
    """Takes up cases while there is room for them in the page; ``left_out`` has the titles of the others.

    ``data`` is what the page's script reads: the cases, and 256 colours of intensities and of errors.
    """

    def __init__(self) -> None:
        self.cases: list[dict[str, Any]] = []
        self.left_out: list[str] = []
        self.data = {"errors": _colours("RdBu_r"), "cases": self.cases}
        self._sizes, self._room = list(SIZES), ROOM

    def add(self, title: str, panels: Panels) -> None:
        """Take up a case. If the first is too large for the page, all are shown more coarsely."""
        self.data["colours"] = _colours(panels.colours)
        case = _case(title, panels, *self._sizes[0])
        while not self.cases and _bytes(case) > ROOM and len(self._sizes) > 1:
            del self._sizes[0]
            case = _case(title, panels, *self._sizes[0])
        if _bytes(case) > self._room:
            self.left_out.append(title)
            return
        self._room -= _bytes(case)
        self.cases.append(case)


def _bytes(case: dict[str, Any]) -> int:
    return sum(len(image["strip"]) for image in case["images"])


def _case(title: str, panels: Panels, edge: int, slices: int) -> dict[str, Any]:
    """Every column's volume where any slice of the clean one shows the head; the slice of the figure is one of those.

    255 is the end of the figure's scale, or of the clean image's own values where these go beyond it.
    """
    clean = panels.volumes["clean"]
    box = head_window(clean.max(axis=2))
    depth = clean.shape[2]
    step, block = math.ceil(depth / slices), math.ceil(max(clean[*box, 0].shape) / edge)
    most = max(panels.top, float(np.percentile(clean, 99.9)), 1e-6)
    every = slice(panels.z % step, None, step)
    strips = {m: sprite_strip(volume[*box, every], block, most) for m, volume in panels.volumes.items()}
    (height, width), count = strips["clean"].shape, len(range(depth)[every])
    return {
        "title": title,
        "unit": panels.unit,
        "size": [height // count, width],
        "aspect": panels.aspect,
        "slices": {"count": count, "first": panels.z % step, "step": step, "all": depth, "shown": panels.z // step},
        "most": most,
        "top": panels.top,
        "worst": panels.worst,
        "clean": list(strips).index("clean"),
        "images": [{"name": display_name(m), "strip": _png(strip)} for m, strip in strips.items()],
    }


def sprite_strip(volume: Array, block: int, most: float) -> NDArray[np.uint8]:
    """The slices of a volume (H, W, Z) below each other, (Z · H / block, W / block): 0 to ``most`` are 0 to 255.

    Pixels are means of block × block voxels; edges that do not divide are repeated.
    """
    height, width, depth = volume.shape
    volume = np.pad(volume, ((0, -height % block), (0, -width % block), (0, 0)), mode="edge")
    means = volume.reshape(-(-height // block), block, -(-width // block), block, depth).mean(axis=(1, 3))
    shares = np.clip(np.moveaxis(means, 2, 0).reshape(-1, means.shape[1]) / most, 0, 1)
    return np.asarray(np.rint(255 * shares), dtype=np.uint8)


def _png(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode("ascii")


def _colours(name: str) -> list[int]:
    """A colour map as a canvas has its pixels: red is the lowest byte, then green, blue and opacity."""
    from matplotlib import colormaps

    return np.asarray(colormaps[name](np.arange(256), bytes=True)).view("<u4").ravel().tolist()
