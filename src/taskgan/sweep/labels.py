"""Where labels of points go so that none lies on another, on a point or outside the axes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_DIRECTIONS = np.deg2rad([0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 202, 338, 68, 112, 248, 292])


def place_labels(
    points: Array,
    sizes: Array,
    bounds: tuple[float, float, float, float],
    *,
    markers: Array,
    gap: float,
    obstacles: Array | None = None,
) -> list[tuple[float, float] | None]:
    """Find a place for each label, near its point, the crowded ones first.

    Args:
        points: (N, 2) in pixels.
        sizes: (N, 2) width and height of each label in pixels.
        bounds: Left, bottom, right, top of the room, in pixels.
        markers: (N,) half the edge of what each point is drawn as, in pixels.
        gap: Smallest distance of a label to markers and other labels, in pixels.
        obstacles: (M, 2) further points that a label keeps off, e.g. along a line.

    Returns:
        Lower left corner of each label; None for one that has no place left.
    """
    count = len(points)
    taken = [np.array([*(p - half), *(p + half)]) for p, half in zip(points, markers, strict=True)]
    taken += [np.array([*p, *p]) for p in (obstacles if obstacles is not None else ())]
    positions: list[tuple[float, float] | None] = [None] * count
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    crowd = (apart < 2 * sizes.max(initial=0.0)).sum(axis=1)
    reach = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    for index in sorted(range(count), key=lambda i: -crowd[i]):
        others = np.array(taken)
        for box in _candidates(points[index], sizes[index], float(markers[index]) + gap, reach):
            inside = (box[:2] >= bounds[:2]).all() and (box[2:] <= bounds[2:]).all()
            if inside and not overlaps(box, others, gap):
                taken.append(box)
                positions[index] = (float(box[0]), float(box[1]))
                break
    return positions


def overlaps(box: Array, others: Array, gap: float = 0.0) -> bool:
    """Whether a box (left, bottom, right, top) comes closer than ``gap`` to any of ``others`` (N, 4)."""
    apart = (box[:2] >= others[:, 2:] + gap) | (others[:, :2] - gap >= box[2:])
    return not bool(apart.any(axis=1).all())


def _candidates(point: Array, size: Array, distance: float, reach: float) -> Sequence[Array]:
    """Boxes around a point, from near to far; a box touches the circle of its distance from outside."""
    boxes = []
    steps = distance * 1.35 ** np.arange(0, 40)
    for radius in steps[steps < reach]:
        for angle in _DIRECTIONS:
            way = np.array([np.cos(angle), np.sin(angle)])
            centre = point + way * radius + np.sign(np.round(way, 6)) * np.abs(way) * size / 2
            boxes.append(np.array([*(centre - size / 2), *(centre + size / 2)]))
    return boxes
