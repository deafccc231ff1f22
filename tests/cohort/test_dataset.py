import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
import torch

from taskgan.cohort.dataset import Batch, Steps, TrainingSlices, load_batches
from taskgan.cohort.pairs import Pairs, read_pairs
from taskgan.core.errors import UserError
from taskgan.recipe import Augment, Data

PLAIN = Augment(flip=False, shift=0)


def write(folder: Path, shapes: list[tuple[int, int, int]], *, extra: bool = False) -> Pairs:
    """Volume k has clean value k + 1 + z/100 and degraded value 2 (k + 1), so that slices can be told apart."""
    folder.mkdir(exist_ok=True)
    rows = []
    for k, shape in enumerate(shapes):
        depth = np.arange(shape[2]) / 100
        volumes = {"degraded": np.full(shape, 2.0 * (k + 1)), "clean": np.ones(shape) * (k + 1 + depth)}
        if extra:
            volumes["t1"] = 1.0 + np.arange(shape[0])[:, None, None] * np.ones(shape)
        row: dict[str, object] = {"case": f"c{k}", "subject": f"s{k}", "split": "train", "label": k % 2}
        for name, data in volumes.items():
            row[name] = f"c{k}_{name}.nii"
            nib.save(nib.Nifti1Image(data.astype(np.float32), np.diag([2, 2, 3, 1.0])), folder / str(row[name]))
        rows.append(row)
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return read_pairs(folder)


def all_equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


def test_smaller_volumes_are_padded_on_all_sides_to_the_largest(tmp_path: Path) -> None:
    slices = TrainingSlices(write(tmp_path, [(8, 6, 2), (4, 6, 3)]), Data())
    assert slices.shape == (8, 6)
    assert len(slices) == 5
    inputs, clean, label = slices.sample(2)
    assert label == 1
    assert inputs.shape == (1, 8, 6)
    np.testing.assert_array_equal(clean[0, :2], 0)
    np.testing.assert_array_equal(clean[0, -2:], 0)
    assert (inputs[0, 2:6] == 1).all()  # divided by the degraded image's own mean
    assert clean[0, 3, 3] == pytest.approx(0.5)
    np.testing.assert_allclose(slices.scales, [2, 4])
    np.testing.assert_allclose(slices.voxel_sizes, [[2, 2, 3]] * 2)


def test_neighbours_and_further_inputs_become_channels(tmp_path: Path) -> None:
    pairs = write(tmp_path, [(4, 4, 3)], extra=True)
    slices = TrainingSlices(pairs, Data(inputs=("degraded", "t1"), neighbours=1))
    inputs, clean, _ = slices.sample(1)
    assert inputs.shape == (6, 4, 4)
    assert clean.shape == (1, 4, 4)
    np.testing.assert_allclose(inputs[1][:, 0], np.array([1, 2, 3, 4]) / 2.5)


def test_neighbours_do_not_cross_volumes(tmp_path: Path) -> None:
    pairs = write(tmp_path, [(4, 4, 2), (4, 4, 2)], extra=True)
    slices = TrainingSlices(pairs, Data(neighbours=1))
    slices._inputs[:, 0] = torch.arange(4.0)[:, None, None]
    assert slices.sample(2)[0][:, 0, 0].tolist() == [2, 2, 3]


def test_slices_without_signal_are_not_drawn_but_stay_as_neighbours(tmp_path: Path) -> None:
    pairs = write(tmp_path, [(4, 4, 4), (4, 4, 4)])
    data = np.ones((4, 4, 4))
    data[..., 0] = 0.001
    nib.save(nib.Nifti1Image(data.astype(np.float32), np.diag([2, 2, 3, 1.0])), tmp_path / "c0_clean.nii")
    slices = TrainingSlices(pairs, Data(min_signal=0.05))
    assert slices.groups(balanced=False) == [[[1, 2, 3, 4, 5, 6, 7]]]
    assert slices.groups(balanced=True) == [[[1, 2, 3]], [[4, 5, 6, 7]]]
    assert len(slices) == 8


def test_a_step_is_the_same_whoever_makes_it(tmp_path: Path) -> None:
    data = Data(augment=Augment(flip=True, shift=2, rotate=5))
    slices = TrainingSlices(write(tmp_path, [(6, 6, 3)] * 4), data)
    slices.share()
    steps = Steps(slices, data, batch_size=4, seed=7)
    alone = list(load_batches(steps, range(2, 6), workers=0))
    shared = list(load_batches(steps, range(2, 6), workers=2))
    assert len(alone) == 4
    assert all(all_equal(a, b) for a, b in zip(alone, shared, strict=True))
    assert not all_equal(alone[0], alone[1])


def test_workers_do_without_shared_memory_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Data(augment=PLAIN)
    slices = TrainingSlices(write(tmp_path, [(6, 6, 3)] * 2), data)
    full = type("Usage", (), {"free": 100})
    monkeypatch.setattr("taskgan.cohort.dataset.shutil.disk_usage", lambda place: full)
    slices.share()
    assert not slices._clean.is_shared()
    steps = Steps(slices, data, batch_size=2, seed=0)
    assert all(
        all_equal(a, b)
        for a, b in zip(load_batches(steps, range(3), workers=0), load_batches(steps, range(3), workers=1), strict=True)
    )


def test_ranks_get_blocks_of_the_same_batch(tmp_path: Path) -> None:
    data = Data(augment=Augment(shift=2))
    slices = TrainingSlices(write(tmp_path, [(6, 6, 3)] * 4), data)
    whole = Steps(slices, data, batch_size=4, seed=0)[3]
    parts = [Steps(slices, data, batch_size=4, seed=0, rank=rank, ranks=2)[3] for rank in range(2)]
    assert all(torch.equal(torch.cat([a, b]), c) for a, b, c in zip(*(p[:3] for p in (*parts, whole)), strict=True))
    assert all(part.label.sum() == 1 for part in parts)  # both labels on both devices
    with pytest.raises(UserError, match="shared evenly between 3"):
        Steps(slices, data, batch_size=4, seed=0, rank=0, ranks=3)


def test_degraded_and_clean_are_changed_alike(tmp_path: Path) -> None:
    pairs = write(tmp_path, [(6, 6, 2)] * 2)
    ramp = np.arange(36.0).reshape(6, 6, 1) * np.ones((1, 1, 2)) + 1
    for k in range(2):
        for name in ("degraded", "clean"):
            nib.save(nib.Nifti1Image(ramp.astype(np.float32), np.diag([2, 2, 3, 1.0])), tmp_path / f"c{k}_{name}.nii")
    data = Data(augment=Augment(flip=True, shift=2))
    steps = Steps(TrainingSlices(pairs, data), data, batch_size=8, seed=0)
    drawn = [steps[k] for k in range(4)]
    assert all(torch.equal(b.inputs, b.clean) for b in drawn)
    assert len({tuple(image.flatten().tolist()) for b in drawn for image in b.clean}) > 5


def _memory() -> int:
    """Proportional set size of this process and its children: shared pages count once over all."""
    me = psutil.Process()
    return sum(p.memory_full_info().pss for p in (me, *me.children(recursive=True)))


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker")
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="PSS needs Linux")
def test_workers_share_the_images(tmp_path: Path) -> None:
    pairs = write(tmp_path, [(128, 128, 128)] * 16)  # 256 MB of samples
    data = Data(augment=PLAIN)
    slices = TrainingSlices(pairs, data, threads=1)
    alone = _memory()
    slices.share()
    steps = Steps(slices, data, batch_size=2, seed=0)
    drawn = load_batches(steps, range(40), workers=4)
    for _ in range(20):
        next(drawn)
    assert len(psutil.Process(os.getpid()).children()) >= 4
    together = _memory()
    del drawn
    assert together < 2 * alone, f"{together / 2**20:.0f} MB with 4 workers, {alone / 2**20:.0f} MB without"
