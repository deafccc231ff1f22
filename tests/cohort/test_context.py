"""Smoothed copies of the input as channels, and blocks of volumes as samples."""

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from small_models import network_of
from taskgan.cohort.dataset import Steps, TrainingSlices
from taskgan.cohort.pairs import Pairs, read_pairs
from taskgan.cohort.slices import load_case, with_neighbours
from taskgan.core.errors import UserError
from taskgan.model.restorer import Restorer
from taskgan.recipe import Augment, Data, Generator

EDGES = (2.0, 2.5, 5.0)
SHAPE = (20, 24, 9)


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    rng = np.random.default_rng(0)
    rows = []
    for k, shape in enumerate([SHAPE, (18, 24, 7)]):
        row: dict[str, object] = {"case": f"c{k}", "subject": f"s{k}", "split": "train", "label": k}
        for name in ("degraded", "clean"):
            row[name] = f"c{k}_{name}.nii"
            image = rng.gamma(2.0, 100.0, shape).astype(np.float32)
            nib.save(nib.Nifti1Image(image, np.diag([*EDGES, 1.0])), tmp_path / str(row[name]))
        rows.append(row)
    with (tmp_path / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return read_pairs(tmp_path)


def smoothed(image: np.ndarray, sd: float) -> np.ndarray:
    """A 3D Gaussian of ``sd`` mm by its definition, one axis after the other."""
    for axis, edge in enumerate(EDGES):
        reach = int(3 * sd / edge + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * edge / sd) ** 2)
        image = ndimage.correlate1d(image, kernel / kernel.sum(), axis=axis, mode="nearest")
    return image


def test_context_is_the_volume_behind_gaussians_in_mm(pairs: Pairs) -> None:
    case = load_case(pairs.rows[0], Data(context=(4, 16)))
    image = nib.load(pairs.rows[0].degraded).get_fdata()  # type: ignore[attr-defined]
    assert case.inputs.shape == (SHAPE[2], 3, *SHAPE[:2])
    np.testing.assert_array_equal(case.inputs[:, :1], load_case(pairs.rows[0], Data()).inputs)
    for channel, sd in ((1, 4), (2, 16)):
        expected = np.moveaxis(smoothed(image, sd) / image.mean(), 2, 0)
        np.testing.assert_allclose(case.inputs[:, channel], expected, rtol=1e-4)


def test_neighbours_come_without_their_context() -> None:
    inputs = np.arange(12, dtype=np.float32).reshape(4, 3, 1, 1)
    assert with_neighbours(inputs, 1, 1, context=2).ravel().tolist() == [3, 0, 6, 4, 5]


@pytest.mark.parametrize("neighbours", [0, 1])
def test_loader_and_restorer_make_the_same_channels(pairs: Pairs, neighbours: int) -> None:
    data = Data(context=(4, 8), neighbours=neighbours)
    slices = TrainingSlices(pairs, data)
    inputs = load_case(pairs.rows[0], data).inputs
    for index in range(SHAPE[2]):
        np.testing.assert_array_equal(slices.sample(index)[0], with_neighbours(inputs, index, neighbours, 2))
    restorer = Restorer(network_of(data), data)
    image = nib.load(pairs.rows[0].degraded).get_fdata(dtype=np.float32)  # type: ignore[attr-defined]
    once = restorer.restore(image, spacing=EDGES)
    np.testing.assert_array_equal(once, restorer.restore_inputs(inputs, load_case(pairs.rows[0], data).intensity).image)
    np.testing.assert_allclose(restorer.restore(3 * image, spacing=EDGES), 3 * once, rtol=1e-3)
    with pytest.raises(UserError, match="comes without spacing; expected its voxels' edges in mm, to smooth by 4, 8"):
        restorer.restore(image)


def test_the_residual_may_start_from_a_copy() -> None:
    data = Data(context=(4, 8), neighbours=1)
    generator = Generator(width=4, max_width=4, depth=2, residual=8)
    network = network_of(data, generator)
    torch.nn.init.zeros_(network.last.weight)
    torch.nn.init.zeros_(network.last.bias)
    x = torch.rand(1, 5, 8, 8)
    assert torch.equal(network(x), x[:, 4:])
    with pytest.raises(ValueError, match=r"generator\.residual is 5 mm, expected one of data\.context \(4, 8\)"):
        network_of(data, generator.model_copy(update={"residual": 5.0}))


def test_blocks_are_cut_out_of_the_volumes_alike_and_all_of_them_can_come(pairs: Pairs) -> None:
    data = Data(context=(4,), patch=(16, 30, 4), augment=Augment(flip=False, shift=0), balanced=False, min_signal=0)
    slices = TrainingSlices(pairs, data)
    assert slices.sample_shape == (4, 16, 24)
    steps = Steps(slices, data, batch_size=2, seed=0)
    cases = [load_case(pair, data) for pair in pairs]
    corners = set()
    for step in range(40):
        batch = steps[step]
        assert batch.inputs.shape == (2, 2, 4, 16, 24)
        assert batch.clean.shape == (2, 1, 4, 16, 24)
        for inputs, clean, label in zip(*batch[:3], strict=True):
            case = cases[int(label)]
            assert case.clean is not None
            edge = (20 - case.clean.shape[1]) // 2  # smaller volumes are padded
            whole = np.pad(case.clean, ((0, 0), (edge, edge), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(whole, (4, 16, 24))[:, :, 0]
            (place,) = np.argwhere((windows == clean[0].numpy()).all(axis=(2, 3, 4)))
            channels = np.pad(case.inputs, ((0, 0), (0, 0), (edge, edge), (0, 0))).swapaxes(0, 1)
            z, x = place
            np.testing.assert_array_equal(inputs, channels[:, z : z + 4, x : x + 16])
            corners.add((int(label), int(z), int(x)))
    assert {z for label, z, _ in corners if label == 0} == set(range(6))
    assert {x for _, _, x in corners} == set(range(5))
    again = Steps(slices, data, batch_size=2, seed=0)[7]
    assert all(torch.equal(a, b) for a, b in zip(again[:3], steps[7][:3], strict=True))


def test_a_block_is_its_slices_for_those_who_read_slices(pairs: Pairs) -> None:
    data = Data(patch=(8, 8, 4), balanced=False)
    batch = Steps(TrainingSlices(pairs, data), data, batch_size=2, seed=0)[0]
    flat = batch.by_slice()
    assert flat.clean.shape == (8, 1, 8, 8)
    assert torch.equal(flat.clean[5, 0], batch.clean[1, 0, 1])
    assert torch.equal(flat.inputs[5], batch.inputs[1, :, 1])
    assert torch.equal(flat.label, batch.label.repeat_interleave(4))
    assert flat.by_slice() is flat
