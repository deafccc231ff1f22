"""The column ``back_projection``: zero but for rounding of clean images, more of what contradicts the input."""

import json
from pathlib import Path

import numpy as np
import pytest

from taskgan.cohort.folder import write_description
from taskgan.cohort.pairs import write_pairs
from taskgan.degrade.degradation import Degradation
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.observers import BackProjection, ObserverView, observe, observers
from taskgan.evaluate.run import evaluate
from taskgan.images.photos import Photo, write_photo
from taskgan.recipe.generator import Blur, Down

CHAIN = Degradation((Blur(sigma=4 / 3), Down(factor=4)))
SHAPES = {"a": (40, 32), "b": (29, 45)}


def colours(shape: tuple[int, int], seed: int) -> np.ndarray:
    """(X, Y, 3), away from black and white, where rounding is all that a file loses."""
    noise = np.random.default_rng(seed).uniform(size=(*shape, 3))
    return np.asarray(0.2 + 0.6 * Degradation((Blur(sigma=1),)).forward(noise))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A cohort of two colour photos, and restored ones: the clean one with detail, or darker, than it is."""
    cohort, rows = tmp_path / "cohort", []
    for seed, (case, shape) in enumerate(SHAPES.items()):
        clean = colours(shape, seed)
        x, y = np.indices(shape)
        images = {
            "clean": clean,
            "degraded": CHAIN.apply(clean),
            "detail": clean + 0.1 * ((-1.0) ** (x + y))[:, :, None],
            "dark": clean - 0.1,
        }
        for name, image in images.items():
            path = (cohort if name in ("clean", "degraded") else tmp_path) / name / f"{case}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_photo(path, Photo(image.astype(np.float32)))
        rows.append(
            {
                "case": case,
                "subject": case,
                "split": "test",
                "degraded": f"degraded/{case}.png",
                "clean": f"clean/{case}.png",
            }
        )
    write_pairs(cohort / "pairs.csv", rows)
    write_description(cohort, {"kind": "images", "degradation": {"steps": CHAIN.to_dicts()}})
    return cohort


def test_every_image_of_a_cohort_that_says_how_it_was_made_gets_its_error(photos: Path, tmp_path: Path) -> None:
    out = evaluate(tmp_path / "dark", photos, tmp_path / "out", method="dark", readers={})
    frame = read_case_table(out).set_index(["method", "case"])["back_projection"]
    assert (frame["clean"] < 0.5 / 255).all()
    assert (frame["clean"] > 0).all()
    assert (frame["input"] > 0.005).all()
    np.testing.assert_allclose(frame["dark"], 0.1, atol=0.002)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["dark"]["observed"]["back_projection"]["estimate"] == pytest.approx(frame["dark"].mean(), rel=1e-6)
    detail = evaluate(tmp_path / "detail", photos, tmp_path / "detailed", method="detail", readers={})
    found = read_case_table(detail).set_index(["method", "case"])["back_projection"]
    assert (found["detail"] < 0.01).all()  # a tenth of the range, at a frequency that the input cannot show


def test_a_cohort_that_does_not_say_has_no_such_column(photos: Path, tmp_path: Path) -> None:
    (photos / "cohort.yaml").unlink()
    out = evaluate(tmp_path / "dark", photos, tmp_path / "out", method="dark", readers={})
    with (out / "cases.csv").open() as handle:
        assert "back_projection" not in handle.readline()


def test_slices_of_a_volume_are_measured_one_by_one() -> None:
    clean = np.stack([colours((24, 20), seed)[:, :, 0] for seed in range(3)], axis=2).astype(np.float32)
    degraded = np.stack([CHAIN.apply(clean[:, :, k]) for k in range(3)], axis=2).astype(np.float32)
    wrong = clean + np.array([0.0, 0.1, 0.2], np.float32)
    (measure,) = observers({}, CHAIN)[-1:]
    assert isinstance(measure, BackProjection)

    def error(image: np.ndarray, scale: float = 1.0, span: float | None = 1.0) -> float:
        view = ObserverView(scale * image, scale * clean, {}, (1, 1, 1), "", scale * degraded, span)
        found = observe((measure,), view)["back_projection"]
        assert found is not None
        return found

    assert error(wrong) == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 3), rel=1e-4)
    assert error(clean) < 1e-6
    # Where the number type has no range, the clean image's is taken: units do not matter.
    assert error(wrong, 50.0, None) == pytest.approx(error(wrong, 1.0, None), rel=1e-4)
    assert error(wrong, 1.0, None) == pytest.approx(error(wrong) / clean.max(), rel=1e-6)
