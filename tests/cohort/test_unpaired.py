"""Unpaired order: the degraded side untouched, the clean side somebody else's and as evenly spread."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from taskgan.cohort.dataset import Steps, TrainingSlices, load_batches
from taskgan.cohort.pairs import Pairs, read_pairs
from taskgan.cohort.sampling import BalancedSampler
from taskgan.cohort.unpaired import UnpairedSampler, UnpairedSteps
from taskgan.recipe import Augment, Data, IntensityTransform

GROUPS = [[[0, 1, 2], [3, 4]], [[5, 6], [7, 8, 9], [10]]]
OWNERS = ["a", "a", "a", "b", "b", "c", "c", "d", "d", "d", "e"]


def walk(
    groups: list[list[list[int]]], owners: list[str], batch_size: int, steps: int, seed: int = 0
) -> Iterator[tuple[list[int], list[int]]]:
    """Degraded and clean slices, step by step."""
    order = BalancedSampler(groups, batch_size=batch_size, seed=seed)
    strangers = UnpairedSampler(groups, owners, batch_size=batch_size, seed=seed)
    for step in range(steps):
        degraded = order.indices(step)
        yield degraded, [strangers.index(step, place, index) for place, index in enumerate(degraded)]


@pytest.mark.parametrize(
    "groups",
    [GROUPS, [[list(range(11))]], [[[0, 1, 2]], [[3, 4]]], [[[0, 1, 2]], [[3, 4], [5, 6]]]],
    ids=["labels", "no labels", "one subject a label", "one subject of one label"],
)
@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_never_of_the_same_subject_where_there_are_two(groups: list[list[list[int]]], batch_size: int) -> None:
    for degraded, clean in walk(groups, OWNERS, batch_size, 60):
        assert all(OWNERS[a] != OWNERS[b] for a, b in zip(degraded, clean, strict=True))


def test_a_single_subject_is_its_own_stranger() -> None:
    drawn = [index for _, clean in walk([[[0, 1, 2]]], OWNERS, 2, 9) for index in clean]
    assert Counter(drawn) == {0: 6, 1: 6, 2: 6}


def test_labels_are_as_frequent_in_the_clean_domain_as_in_the_degraded_one() -> None:
    for degraded, clean in walk(GROUPS, OWNERS, 4, 50):
        assert [index < 5 for index in clean] == [index < 5 for index in degraded]


def test_the_clean_slice_says_nothing_about_the_degraded_one() -> None:
    """Of four subjects every other one is met equally often, and every slice of it."""
    groups = [[[2 * k, 2 * k + 1] for k in range(4)]]
    owners = [str(index // 2) for index in range(8)]
    met = Counter((a, b) for d, c in walk(groups, owners, 4, 3000) for a, b in zip(d, c, strict=True))
    assert len(met) == 8 * 6
    assert max(met.values()) < 1.35 * min(met.values())


def test_seeds_and_steps_give_other_orders_and_the_same_ones_the_same() -> None:
    one, again, other = ([clean for _, clean in walk(GROUPS, OWNERS, 4, 20, seed=seed)] for seed in (0, 0, 1))
    assert one == again
    assert one != other
    assert len({tuple(clean) for clean in one}) > 10


def write(folder: Path, subjects: int = 4, depth: int = 3) -> Pairs:
    """Volume k has clean value k + 1 + z/10, degraded value 2 (k + 1 + z/10) and a T1 of −(k + 1)."""
    rows = []
    for k in range(subjects):
        clean = np.ones((6, 5, depth)) * (k + 1 + np.arange(depth) / 10)
        row: dict[str, object] = {"case": f"c{k}", "subject": f"s{k}", "split": "train", "label": k % 2}
        for name, image in (("degraded", 2 * clean), ("clean", clean), ("t1", -(k + 1) * np.ones_like(clean))):
            row[name] = f"c{k}_{name}.nii"
            nib.save(nib.Nifti1Image(image.astype(np.float32), np.eye(4)), folder / str(row[name]))
        rows.append(row)
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return read_pairs(folder)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_degraded_side_is_that_of_the_other_objectives_to_the_bit(tmp_path: Path, workers: int) -> None:
    data = Data(augment=Augment(flip=True, shift=1, rotate=10, zoom=0.05))
    slices = TrainingSlices(write(tmp_path), data)
    paired, unpaired = (kind(slices, data, batch_size=4, seed=3) for kind in (Steps, UnpairedSteps))
    for step, batch in zip(range(5), load_batches(unpaired, range(5), workers=workers), strict=True):
        wanted = paired[step]
        assert torch.equal(batch.inputs, wanted.inputs)
        assert torch.equal(batch.label, wanted.label)
        assert batch.clean.shape == wanted.clean.shape
        assert not torch.equal(batch.clean, wanted.clean)


def test_the_two_sides_are_changed_at_random_apart(tmp_path: Path) -> None:
    """A step may mirror the degraded slice and leave the clean one as it is."""
    data = Data(augment=Augment(flip=True, shift=0))
    slices = TrainingSlices(write(tmp_path), data)
    left = torch.arange(6.0)[:, None]
    slices._inputs[:], slices._clean[:] = left, left
    batch = UnpairedSteps(slices, data, batch_size=64, seed=0)[0]
    mirrored = [image[:, 0, 0, 0] == 5 for image in (batch.inputs, batch.clean)]
    assert 16 < int((mirrored[0] == mirrored[1]).sum()) < 48


def test_ranks_share_the_batch_of_one(tmp_path: Path) -> None:
    data = Data()
    slices = TrainingSlices(write(tmp_path), data)
    whole = UnpairedSteps(slices, data, batch_size=4, seed=0)[7]
    parts = [UnpairedSteps(slices, data, batch_size=4, seed=0, rank=rank, ranks=2)[7] for rank in (0, 1)]
    assert torch.equal(torch.cat([part.clean for part in parts]), whole.clean)


def test_the_clean_side_has_its_own_neighbours_and_its_own_further_inputs(tmp_path: Path) -> None:
    data = Data(
        inputs=("degraded", "t1"), neighbours=1, augment=Augment(flip=False, shift=0),
        intensity=IntensityTransform(kind="none", output="real"),
    )  # fmt: skip
    slices = TrainingSlices(write(tmp_path), data)
    found = slices.clean_inputs(4)[:, 0, 0]  # the middle slice of the second subject
    np.testing.assert_allclose(found, [2.1, -2, 2.0, -2, 2.2, -2], rtol=1e-6)
    steps = UnpairedSteps(slices, data, batch_size=4, seed=0)
    batch = steps[0]
    assert batch.clean.shape == batch.inputs.shape == (4, 6, 6, 5)
    clean = [slices.clean_inputs(index) for index in range(len(slices))]
    for place, index in enumerate(steps.indices(0)):
        own = slices.subject(index)
        strangers = [image for k, image in enumerate(clean) if slices.subject(k) != own]
        assert any(np.array_equal(batch.clean[place].numpy(), image) for image in strangers)
    assert (slices.sample(4)[0][::2, 0, 0] >= 4).all()  # the images themselves were not changed
