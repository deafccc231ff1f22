"""An image that is of another kind than what the model saw is warned about."""

from pathlib import Path

import numpy as np
import pytest

from small_models import card_of
from taskgan.images.statistics import image_statistics
from taskgan.model.folder import ModelCard, domain_warnings


def head(noise: float, *, air: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    grid = np.linspace(-1, 1, 40)
    inside = (grid[:, None] ** 2 + grid[None, :] ** 2 < 0.4)[..., None] * np.ones(6)
    image = inside * (1 + 0.3 * grid[:, None, None]) * (1 + noise * rng.normal(size=inside.shape))
    return np.where(inside > 0, np.clip(image, 0.01, None), air).astype(np.float32)


@pytest.fixture
def card() -> ModelCard:
    known = image_statistics(head(0.5))
    seen = {name: (getattr(known, name),) * 2 for name in ("positive", "noise", "contrast")}
    seen |= {"metadata": {"TracerName": ("florbetaben",), "DosePercent": ("1",)}}
    plain = card_of()
    return plain.model_copy(update={"seen": plain.seen.model_copy(update=seen)})


def warned(card: ModelCard, image: np.ndarray, **metadata: object) -> list[str]:
    return domain_warnings((2, 2, 2), 2.0, card, image_statistics(image), metadata)


def test_its_own_kind_is_not_warned_about(card: ModelCard) -> None:
    assert warned(card, head(0.5), TracerName="Florbetaben", DosePercent=1) == []


def test_the_standard_dose_has_another_noise_level(card: ModelCard) -> None:
    (text,) = warned(card, head(0.05))
    assert text.startswith("a noise level of 0.0")


def test_air_that_is_not_zero_changes_the_share_of_positive_voxels(card: ModelCard) -> None:
    (text,) = warned(card, head(0.5, air=1e-6))
    assert text.startswith("values above zero in 100 % of its voxels, the model saw")


def test_another_tracer_and_dose_are_named(card: ModelCard) -> None:
    assert warned(card, head(0.5), TracerName="FDG", DosePercent=100) == [
        "TracerName FDG, the model saw florbetaben",
        "DosePercent 100, the model saw 1",
    ]


def test_a_flat_image_has_no_contrast(card: ModelCard) -> None:
    assert any("a contrast of 0" in text for text in warned(card, np.ones((20, 20, 2), np.float32)))


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_the_noise_level_is_that_of_white_noise(noise: float) -> None:
    rng = np.random.default_rng(1)
    image = (1 + noise * rng.normal(size=(80, 80, 4))).astype(np.float32)
    assert image_statistics(image).noise == pytest.approx(noise, rel=0.05)


def test_old_cards_know_less(tmp_path: Path) -> None:
    assert domain_warnings((2, 2, 2), 2.0, card_of(), image_statistics(head(0.1)), {"TracerName": "FDG"}) == []
