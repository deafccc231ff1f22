"""A projection when restoring: of whole images, also where the network saw tiles."""

import numpy as np
import pytest
import torch

from small_models import GENERATOR, card_of, network_of
from taskgan.cohort.slices import Case
from taskgan.degrade.degradation import Degradation
from taskgan.images.intensity import Intensity
from taskgan.model import blocks as module
from taskgan.model.blocks import Tiles, restore_case, restore_in_tiles
from taskgan.model.folder import build_generator
from taskgan.model.restorer import Restorer
from taskgan.recipe import Data, Generator, IntensityTransform
from taskgan.recipe.generator import Blur, Down

CHAIN = Degradation((Blur(sigma=8 / 3), Down(factor=8)))
PHOTO = Data(intensity=IntensityTransform(kind="none", output="unit"))
LAYERED = Generator.model_validate(GENERATOR.model_dump() | {"projection": 1.0, "degradation": CHAIN.to_dicts()})


def degraded(shape: tuple[int, int] = (90, 72)) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(size=shape)
    return CHAIN.apply(0.3 + 0.4 * Degradation((Blur(sigma=2),)).forward(noise)).astype(np.float32)


def case_of(image: np.ndarray, scale: float = 1.0) -> Case:
    return Case(None, image[None, None], None, Intensity(scale), None)  # type: ignore[arg-type]


def test_tiles_are_joined_first_and_projected_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile has other low-resolution pixels than the image, and an edge where the image has none."""
    image = degraded()
    restorer, plain = Restorer(network_of(PHOTO, LAYERED), PHOTO), Restorer(network_of(PHOTO), PHOTO)
    tiles = Tiles.cover(image.shape, edge=40, overlap=13)
    assert len(tiles.corners) > 4
    joined = restore_in_tiles(plain, case_of(image), tiles).image
    found = restore_in_tiles(restorer, case_of(image), tiles).image
    before = CHAIN.consistency(joined[:, :, 0], image)
    assert before > 0.05
    assert CHAIN.consistency(found[:, :, 0], image) < 0.1 * before  # what is left is of pixels that are held at 0 or 1
    expected = restorer.project(joined[None, :, :, 0], image[None, None])
    np.testing.assert_allclose(found[:, :, 0], expected[0], atol=1e-6)
    whole = restorer.restore_inputs(image[None, None], Intensity(1.0)).image
    assert CHAIN.consistency(whole[:, :, 0], image) < 0.15 * before  # the layer is there again
    monkeypatch.setattr(module, "WHOLE_SLICE", 0)
    again = restore_case(restorer, case_of(image)).image  # one tile
    np.testing.assert_allclose(again, whole, atol=1e-5)


def test_units_go_in_and_come_out() -> None:
    image = degraded()
    data = Data(intensity=IntensityTransform(kind="mean_nonzero", output="nonnegative"))
    restorer = Restorer(network_of(data, LAYERED), data)
    tiles = Tiles.cover(image.shape, edge=40, overlap=13)
    one, thousand = (restore_in_tiles(restorer, case_of(image, s), tiles).image for s in (1.0, 1000.0))
    np.testing.assert_allclose(thousand, 1000 * one, rtol=1e-5, atol=1e-3)


def test_a_model_without_the_layer_takes_it_afterwards_and_bfloat16_ends_in_float32() -> None:
    image = degraded()
    network = network_of(PHOTO)
    card = card_of(PHOTO)
    later = card.model_copy(update={"generator": LAYERED})
    before = CHAIN.consistency(Restorer(network, PHOTO).restore_slices(image[None, None])[0], image)
    for precision in ("32", "bf16"):
        layered = build_generator(network.state_dict(), later)
        found = Restorer(layered, PHOTO, precision=precision).restore_slices(image[None, None])[0]  # type: ignore[arg-type]
        assert CHAIN.consistency(found, image) < 0.15 * before
    torch.testing.assert_close(layered.state_dict(), network.state_dict())


def test_without_a_projection_nothing_changes() -> None:
    restorer = Restorer(network_of(PHOTO), PHOTO)
    assert not restorer.projects
    image = degraded()[None]
    assert restorer.project(image, image[:, None]) is not None
    np.testing.assert_array_equal(restorer.project(image, image[:, None]), image)
    with restorer.unprojected():
        assert not restorer.projects
