"""Figures 4 and 5 of the paper, drawn from what training did."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explain.measures import NAMES, ObjectiveResult
from explain.problem import PointPairs, branch_points
from explain.train import METHODS, Method
from taskgan.core.files import atomic
from taskgan.page.style import LABEL_STYLES, axes_figure, draw_mapping, method_style, save_figure

Array = NDArray[np.float64]
ACROSS, UP = (-1.9, 1.9), (-4.0, 1.75)
_ARROWS = {0.0: 9, 1.0: 6}  # arrows of Figure 5, by label
_SEED = 0  # the seed that is drawn: the first, whatever it shows


def figure4(outcomes: Mapping[Method, ObjectiveResult], held_out: PointPairs, path: Path) -> Path:
    """The problem, and how every objective maps it: lines from the clean to the restored point."""
    with axes_figure(1, 1 + len(METHODS), (11.6, 4.8), sharex=True, sharey=True) as (figure, axes):
        problem, *others = axes[0]
        draw_domain(problem)
        for label, (colour, marker) in enumerate(LABEL_STYLES[:2]):
            mine = held_out.labels == label
            style = {"linestyle": "none", "marker": marker, "markersize": 4, "markeredgecolor": colour}
            problem.plot(*held_out.clean[mine].T, markerfacecolor="white", **style)
            problem.plot(*held_out.degraded[mine].T, markerfacecolor=colour, **style)
        problem.text(0, 1.62, "clean domain", ha="center", va="top", fontsize=8)
        problem.text(0, -3.98, "degraded domain", ha="center", va="bottom", fontsize=8)
        problem.set_title("(a) The problem")
        problem.set_xlabel("● label 0, ▲ label 1 (one in four);\ndotted: the border between labels", fontsize=8)
        for letter, axis, method in zip("bcde", others, METHODS, strict=True):
            outcome = outcomes[method]
            restored = outcome.trained.final[:, _SEED]
            draw_domain(axis)
            draw_degraded(axis, held_out)
            draw_mapping(axis, held_out.clean, restored, held_out.labels, size=3.4)
            mark_flipped(axis, restored[outcome.flipped[:, _SEED] > 0.5])
            axis.set_title(f"({letter}) {NAMES[method]}", color=method_style(method, METHODS)[0])
            measures = outcome.measures
            axis.set_xlabel(
                f"shrinkage {measures.shrinkage.estimate:.2f}, rank {measures.rank_correlation.estimate:.2f},\n"
                f"labels lost {100 * measures.flips.estimate:.0f} % (of ▲ "
                f"{100 * measures.flips_minority.estimate:.0f} %)",
                fontsize=8,
            )
        figure.supxlabel(
            "Lines: from the clean point (hollow) to where its degraded point is restored (filled). Black ring: it "
            f"has the other label now. Figures: {len(held_out)} held-out points, {seed_count(outcomes)} seeds; "
            "drawn: the first seed.",
            fontsize=7.5,
        )
        return save_figure(figure, path)


def figure5(outcomes: Mapping[Method, ObjectiveResult], held_out: PointPairs, path: Path) -> Path:
    """What an objective ties together: arrows from the degraded to the restored point, and what training knows."""
    picked = arrow_points(held_out)
    with axes_figure(1, len(METHODS), (10.4, 5.4), sharex=True, sharey=True) as (figure, axes):
        for axis, method in zip(axes[0], METHODS, strict=True):
            outcome = outcomes[method]
            draw_domain(axis)
            draw_degraded(axis, held_out)
            restored = outcome.trained.final[:, _SEED]
            back = outcome.trained.cycled
            for k in picked:
                colour, marker = LABEL_STYLES[int(held_out.labels[k])]
                _arrow(axis, held_out.degraded[k], restored[k], colour)
                if back is not None:
                    _arrow(axis, restored[k], back[k, _SEED], colour, bow=0.25, style=(0, (2, 2)))
                else:
                    pair = np.stack([restored[k], held_out.clean[k]])
                    axis.plot(*pair.T, color="#444444", linewidth=0.9, linestyle=(0, (1, 1.5)))
                axis.plot(*held_out.clean[k], marker, color=colour, markerfacecolor="white", markersize=5)
                axis.plot(*restored[k], marker, color=colour, markersize=5)
            mark_flipped(axis, restored[[k for k in picked if outcome.flipped[k, _SEED] > 0.5]])
            order = "unpaired" if back is not None else "paired, and the label" if method == "task_gan" else "paired"
            axis.set_title(f"{NAMES[method]}\n{order}", color=method_style(method, METHODS)[0])
            axis.set_xlabel(_cycle_caption(outcome, held_out) if back is not None else "", fontsize=8)
        figure.supxlabel(
            "Arrows: from the degraded point to where it is restored (filled). Dotted: to its clean point (hollow), "
            "which paired training pulls on. Dashed arrows: CycleGAN’s way back.\n"
            "Black ring: it has the other label now.",
            fontsize=7.5,
        )
        return save_figure(figure, path)


def draw_domain(axis: Any) -> None:
    """The clean domain as two bands, the line between the labels, and the common frame."""
    along = np.linspace(-1, 1, 101)
    for label in (0.0, 1.0):
        axis.plot(*branch_points(along, np.full(101, label)).T, color="#dcdcdc", linewidth=7, zorder=0)
    axis.plot([0, 0], [-1.6, 1.45], color="#444444", linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    axis.set_xlim(*ACROSS)
    axis.set_ylim(*UP)
    axis.set_aspect("equal")
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.set_xticks([])
    axis.set_yticks([])


def draw_degraded(axis: Any, held_out: PointPairs) -> None:
    """The degraded points, faint."""
    for label, (colour, marker) in enumerate(LABEL_STYLES[:2]):
        mine = held_out.labels == label
        axis.plot(*held_out.degraded[mine].T, marker, color=colour, markersize=2.5, alpha=0.35, zorder=0)


def mark_flipped(axis: Any, points: Array) -> None:
    """Mark points that have lost their label."""
    axis.plot(*points.T, "o", markersize=8, markerfacecolor="none", markeredgecolor="black", markeredgewidth=0.9)


def arrow_points(held_out: PointPairs) -> list[int]:
    """Points that are drawn with arrows: of each label some, evenly along its branch."""
    chosen: list[int] = []
    for label, count in _ARROWS.items():
        mine = np.flatnonzero(held_out.labels == label)
        ordered = mine[np.argsort(held_out.clean[mine, 1])]
        places = np.unique(np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int))
        chosen += [int(k) for k in ordered[places]]
    return chosen


def seed_count(outcomes: Mapping[Method, ObjectiveResult]) -> int:
    """How many seeds were trained."""
    return int(next(iter(outcomes.values())).flipped.shape[1])


def _cycle_caption(outcome: ObjectiveResult, held_out: PointPairs) -> str:
    assert outcome.trained.cycled is not None
    gap = np.linalg.norm(outcome.trained.cycled - held_out.degraded[:, None], axis=-1).mean()
    return f"the cycle closes to {gap:.3f};\nlabels lost {100 * outcome.measures.flips.estimate:.0f} %"


def _arrow(
    axis: Any, start: Array, end: Array, colour: str, bow: float = 0.0, style: str | tuple[int, Sequence[float]] = "-"
) -> None:
    arrow = {
        "arrowstyle": "->",
        "color": colour,
        "linewidth": 0.9,
        "alpha": 0.8,
        "linestyle": style,
        "shrinkA": 0,
        "shrinkB": 2,
        "connectionstyle": f"arc3,rad={bow}",
    }
    axis.annotate("", xy=tuple(end), xytext=tuple(start), arrowprops=arrow)


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
