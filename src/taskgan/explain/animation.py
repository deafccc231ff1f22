"""Training as a short animation: where the held-out points are, step by step."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from taskgan.core.files import atomic
from taskgan.explain.figures import draw_degraded, draw_domain
from taskgan.explain.measures import NAMES, ObjectiveResult
from taskgan.explain.problem import PointPairs
from taskgan.explain.train import METHODS, Method
from taskgan.report.style import LABEL_STYLES, axes_figure, method_style

FRAMES = 44
_FRAME_MS, _LAST_MS = 130, 3000  # under ten seconds in all
_DPI = 75


def snapshot_steps(steps: int) -> tuple[int, ...]:
    """Steps to look after, from 0 to the end: dense at first, when most happens."""
    spaced = np.geomspace(1, steps + 1, min(FRAMES, steps + 1)) - 1
    return tuple(int(k) for k in np.unique(spaced.round().astype(int)))


def animate(outcomes: Mapping[Method, ObjectiveResult], held_out: PointPairs, path: Path) -> Path:
    """Write the GIF; the first seed is drawn."""
    from PIL import Image

    steps = outcomes["l1"].trained.steps
    frames = []
    with axes_figure(1, len(METHODS), (9.6, 4.6), sharex=True, sharey=True) as (figure, axes):
        moving = []
        for axis, method in zip(axes[0], METHODS, strict=True):
            draw_domain(axis)
            draw_degraded(axis, held_out)
            for label, (colour, marker) in enumerate(LABEL_STYLES[:2]):
                (artist,) = axis.plot([], [], marker, color=colour, markersize=4.5)
                moving.append((method, held_out.labels == label, artist))
            axis.set_title(NAMES[method], color=method_style(method, METHODS)[0])
        title = figure.suptitle("step 0", fontsize=10)
        figure.canvas.draw()
        figure.set_layout_engine("none")  # nothing may jump between frames
        for k, step in enumerate(steps):
            title.set_text(f"step {step} of {steps[-1]}")
            for method, mine, artist in moving:
                artist.set_data(*outcomes[method].trained.restored[k][mine, 0].T)
            figure.set_dpi(_DPI)
            figure.canvas.draw()
            pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
            frames.append(Image.fromarray(np.ascontiguousarray(pixels)))
    # One palette for all frames, or colours would flicker.
    palette = frames[-1].quantize(160)
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    with atomic(path) as partial:
        first.save(
            partial,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=[_FRAME_MS] * len(rest) + [_LAST_MS],
            loop=0,
            optimize=True,
        )
    return path
