"""Tiles: of the identity the identity, of a convolution the convolution, without seams."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from small_models import network_of
from taskgan.cohort.slices import Case
from taskgan.images.intensity import Intensity
from taskgan.model import blocks as module
from taskgan.model.blocks import Tiles, restore_case, restore_in_tiles
from taskgan.model.restorer import Restorer
from taskgan.recipe import Data, IntensityTransform

PHOTO = Data(intensity=IntensityTransform(kind="none", output="unit"))


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.integers(9, 40), st.integers(0, 8))
def test_tiles_of_an_image_are_that_image_again(shape: tuple[int, int], edge: int, overlap: int) -> None:
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    tiles = Tiles.cover(shape, edge=edge, overlap=overlap)
    cut = tiles.cut(image[None])
    assert cut.shape[1:] == (1, min(edge, shape[0]), min(edge, shape[1]))
    np.testing.assert_allclose(tiles.join(cut[:, 0]), image, atol=1e-6)
    for axis, length in enumerate(shape):
        starts = sorted({corner[axis] for corner in tiles.corners})
        assert starts[0] == 0
        assert starts[-1] + tiles.tile[axis] == length
        assert all(b - a <= edge - overlap for a, b in itertools.pairwise(starts))


def test_a_tile_that_is_all_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot overlap"):
        Tiles.cover((9, 9), edge=4, overlap=4)


def case_of(image: np.ndarray, data: Data = PHOTO) -> Case:
    return Case(None, image[None, None], None, Intensity(1.0), None)  # type: ignore[arg-type]


class Smoothing(nn.Module):
    """A mean over 9 × 9 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1, 9, 9), 1 / 81))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(image, self.weight, padding=4)


def test_a_large_slice_goes_through_a_convolution_as_if_it_were_whole() -> None:
    """Weights near the edges of a tile, where the convolution sees its border, are small; no seam is seen."""
    image = np.random.default_rng(0).random((150, 90)).astype(np.float32)
    restorer = Restorer(Smoothing(), PHOTO)
    whole = restore_case(restorer, case_of(image)).image
    tiled = restore_in_tiles(restorer, case_of(image), Tiles.cover((150, 90), edge=64, overlap=32)).image
    assert tiled.shape == whole.shape == (150, 90, 1)
    assert np.abs(tiled - whole).max() < 0.08  # of a border that halves the mean, were it not weighted down
    assert np.abs(np.diff(tiled - whole, axis=0)).max() < 0.03


def test_samples_of_a_large_slice_have_a_mean_and_a_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE_SLICE", 0)
    image = np.random.default_rng(0).random((40, 32)).astype(np.float32)
    restorer = Restorer(network_of(PHOTO), PHOTO)
    found = restore_case(restorer, case_of(image), samples=3, seed=1)
    alone = restorer.restore_inputs(image[None, None], Intensity(1.0), samples=3, seed=1)
    assert found.sd is not None
    assert alone.sd is not None
    np.testing.assert_allclose(found.image, alone.image, atol=1e-6)  # one tile
    np.testing.assert_allclose(found.sd, alone.sd, atol=1e-6)
