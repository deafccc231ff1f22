import numpy as np
from numpy.typing import NDArray

from taskgan.judges.volumes import BATCH, read_volumes


def test_photos_are_read_together_and_volumes_by_themselves() -> None:
    rng = np.random.default_rng(0)
    shapes = [*[(1, 3, 4)] * BATCH, (5, 3, 4), (1, 3, 4), (1, 4, 3), (1, 3, 4)]
    volumes = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    seen = []

    def read(slices: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(slices.shape)
        return slices.sum(axis=(1, 2))

    found = read_volumes(read, volumes)
    assert seen == [(BATCH, 3, 4), (2, 3, 4), (5, 3, 4), (1, 4, 3)]
    for said, volume in zip(found, volumes, strict=True):
        assert np.array_equal(said, volume.sum(axis=(1, 2)))
