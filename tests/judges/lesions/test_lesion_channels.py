import numpy as np
import pytest

from taskgan.judges.lesions import SIGMAS_MM, dog_channels

SHAPE, VOXEL = (48, 40, 2), (1.0, 1.0, 5.0)
INSIDE = np.zeros(SHAPE, bool)
INSIDE[6:42, 5:35] = True


def test_they_are_blind_to_a_level_and_to_what_is_outside() -> None:
    image = np.where(INSIDE, 3.0, 1000.0).astype(np.float32)
    found = dog_channels(image, INSIDE, VOXEL)
    assert found.shape == (len(SIGMAS_MM) - 1, *SHAPE)
    assert np.abs(found).max() < 1e-4


def test_they_are_linear() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    both = dog_channels(2 * one - two, INSIDE, VOXEL)
    assert np.allclose(both, 2 * dog_channels(one, INSIDE, VOXEL) - dog_channels(two, INSIDE, VOXEL), atol=1e-5)


@pytest.mark.parametrize(("radius", "channel"), [(1.5, 0), (3.0, 1), (6.0, 2)])
def test_wider_spots_answer_in_wider_channels(radius: float, channel: int) -> None:
    x, y = np.meshgrid(np.arange(48) - 24, np.arange(40) - 20, indexing="ij")
    image = np.zeros(SHAPE, np.float32)
    image[..., 0] = x**2 + y**2 <= radius**2
    found = dog_channels(image, INSIDE, VOXEL)
    assert int(found[:, 24, 20, 0].argmax()) == channel
    assert not found[..., 1].any()  # another slice sees nothing of it
