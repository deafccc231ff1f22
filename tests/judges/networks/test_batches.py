from collections import Counter

import numpy as np
import pytest
import torch

from taskgan.judges.volumes import CleanSlices, CleanVolume, RecogniserBatches
from taskgan.recipe import Augment, RecogniserSettings

STILL = Augment(flip=False, shift=0)


def _volume(subject: str, label: float, value: float, slices: int = 3, size: int = 8) -> CleanVolume:
    return CleanVolume(subject, label, np.full((slices, size, size), value, dtype=np.float32))


def _uneven() -> CleanSlices:
    """One positive subject against four negatives; one negative has most of the slices, one two volumes."""
    return CleanSlices(
        (
            _volume("p", 1.0, 10),
            _volume("a", 0.0, 1, slices=50),
            _volume("b", 0.0, 2),
            _volume("c", 0.0, 3),
            _volume("c", 0.0, 3),
            _volume("d", 0.0, 4),
        )
    )


def test_labels_and_subjects_within_a_label_are_drawn_equally_often() -> None:
    batches = RecogniserBatches(_uneven(), RecogniserSettings(batch_size=16, augment=STILL))
    seen: Counter[float] = Counter()
    for _ in range(100):
        images, labels = batches.draw()
        assert images.shape == (16, 1, 8, 8)
        assert labels.sum() == 8
        seen.update(images[:, 0, 0, 0].tolist())
    assert seen[10.0] == 800
    assert all(150 < seen[float(k)] < 250 for k in (1, 2, 3, 4))


def test_an_odd_batch_is_balanced_in_the_long_run() -> None:
    batches = RecogniserBatches(_uneven(), RecogniserSettings(batch_size=1, augment=STILL))
    assert 70 < sum(batches.draw()[1].item() for _ in range(200)) < 130


def test_every_slice_comes_up() -> None:
    slices = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 4, 4), np.float32)
    volumes = CleanSlices((CleanVolume("a", 0.0, slices), _volume("p", 1.0, 10, size=4)))
    batches = RecogniserBatches(volumes, RecogniserSettings(batch_size=32, augment=STILL))
    images = torch.cat([batches.draw()[0] for _ in range(5)])
    assert set(images[:, 0, 0, 0].tolist()) == {0, 1, 2, 3, 4, 10}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_decides_everything(seed: int) -> None:
    volumes = CleanSlices(
        tuple(
            CleanVolume(n, float(k), np.random.default_rng(k).random((4, 8, 8), dtype=np.float32))
            for k, n in enumerate("ab")
        )
    )
    settings = RecogniserSettings(batch_size=8, seed=seed)
    first, again = RecogniserBatches(volumes, settings), RecogniserBatches(volumes, settings)
    other = RecogniserBatches(volumes, settings.model_copy(update={"seed": seed + 1}))
    for _ in range(3):
        images = first.draw()[0]
        assert torch.equal(images, again.draw()[0])
        assert not torch.equal(images, other.draw()[0])


def test_smaller_volumes_are_padded_around_their_middle() -> None:
    volumes = CleanSlices((_volume("a", 0.0, 1, size=4), _volume("p", 1.0, 10, size=9)))
    images, labels = RecogniserBatches(volumes, RecogniserSettings(batch_size=4, augment=STILL)).draw()
    small = images[labels == 0][0, 0]
    assert small.shape == (9, 9)
    assert small.sum() == 16
    assert small[2:6, 2:6].sum() == 16


def test_images_rather_than_subjects_are_drawn_equally_often_where_that_is_asked_for() -> None:
    batches = RecogniserBatches(_uneven(), RecogniserSettings(batch_size=16, augment=STILL, sampling="images"))
    seen: Counter[float] = Counter()
    for _ in range(200):
        seen.update(batches.draw()[0][:, 0, 0, 0].tolist())
    assert seen[10.0] == 1600  # classes stay balanced
    assert seen[3.0] == pytest.approx(2 * seen[2.0], rel=0.25)  # two volumes
    assert seen[1.0] == pytest.approx(seen[2.0], rel=0.25)  # one, long or short
