import numpy as np

from taskgan.judges.lesions import MARGIN_MM, map_lesions

SHAPE, VOXEL = (30, 30, 3), (2.0, 2.0, 5.0)
WHITE = np.ones(SHAPE, bool)


def test_connected_voxels_are_one_lesion_and_specks_are_none() -> None:
    lesions = np.zeros(SHAPE, bool)
    lesions[5:7, 5:7, 1] = True
    lesions[5:7, 5:7, 2] = True  # the same lesion in the next slice
    lesions[20, 20:23, 0] = True
    lesions[12, 12:14, 0] = True  # two voxels
    found = map_lesions(lesions, WHITE & ~lesions, VOXEL)
    assert found.count == 2
    assert [int((found.lesions == k).sum()) for k in (1, 2)] in ([8, 3], [3, 8])
    assert not found.lesions[12, 12, 0]


def test_healthy_keeps_away_from_every_lesion() -> None:
    lesions = np.zeros(SHAPE, bool)
    lesions[15, 15, 1] = True  # too small to count, too sick to be healthy
    found = map_lesions(lesions, WHITE, VOXEL)
    assert found.count == 0
    x, y, z = np.argwhere(found.healthy).T
    apart = np.sqrt((2 * (x - 15)) ** 2 + (2 * (y - 15)) ** 2 + (5 * (z - 1)) ** 2)
    assert apart.min() >= MARGIN_MM
    assert found.healthy[15, 15, 0]
    assert not found.healthy[15, 14, 1]


def test_without_lesions_all_white_matter_is_healthy() -> None:
    found = map_lesions(np.zeros(SHAPE, bool), WHITE, VOXEL)
    assert found.count == 0
    assert (found.healthy == WHITE).all()
