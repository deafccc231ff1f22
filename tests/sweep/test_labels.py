import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.sweep.trade import overlaps, place_labels

ROOM = (0.0, 0.0, 600.0, 400.0)


def boxes(points: np.ndarray, sizes: np.ndarray, **options: object) -> list[np.ndarray]:
    half = np.full(len(points), 4.0)
    found = place_labels(points, sizes, ROOM, markers=half, gap=2.0, **options)  # type: ignore[arg-type]
    return [np.array([*c, *(np.array(c) + s)]) for c, s in zip(found, sizes, strict=True) if c is not None]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 25), st.integers(0, 1000), st.floats(1, 150))
def test_no_label_lies_on_another_on_a_point_or_outside(count: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    points = np.clip(rng.normal([300, 200], spread, (count, 2)), [10, 10], [590, 390])
    sizes = np.column_stack([rng.uniform(10, 60, count), np.full(count, 11.0)])
    found = boxes(points, sizes)
    assert len(found) == count
    dots = np.column_stack([points - 4, points + 4])
    for index, box in enumerate(found):
        others = [other for k, other in enumerate(found) if k != index]
        assert not others or not overlaps(box, np.array(others))
        assert not overlaps(box, dots)
        assert (box[:2] >= 0).all()
        assert (box[2:] <= ROOM[2:]).all()


def test_a_lonely_label_is_beside_its_point() -> None:
    (box,) = boxes(np.array([[300.0, 200.0]]), np.array([[40.0, 10.0]]))
    assert box == pytest.approx([306, 195, 346, 205])


def test_labels_keep_off_a_line() -> None:
    line = np.column_stack([np.linspace(300, 400, 60), np.full(60, 200.0)])
    (box,) = boxes(np.array([[300.0, 200.0]]), np.array([[40.0, 10.0]]), obstacles=line)
    assert not overlaps(box, np.column_stack([line, line]))


def test_what_has_no_room_has_no_label() -> None:
    assert boxes(np.array([[300.0, 200.0]]), np.array([[700.0, 10.0]])) == []
