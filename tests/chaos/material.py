"""Small inputs of every command, made by code: `make` leaves one folder that the trials copy from."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

RECIPE = {
    "data": {"augment": {"shift": 1}},
    "generator": {"width": 4, "max_width": 8, "depth": 3, "norm": "instance", "dropout_layers": 1},
    "discriminator": {"widths": [4, 8], "norm": "instance"},
    "task": {"training": "frozen", "pretrain": {"network": "resnet10", "width": 4, "steps": 4}},
    "judge": {"network": "convnet", "width": 4, "seed": 1000, "steps": 4},
    "loss": {"lambda_gan": 0.1, "mu_task": 0.1},
    "optimiser": {"steps": 6, "batch_size": 4, "lr": 1e-3, "ema": 0.9},
    "validation": {"every": 3, "save_every": 2},
    "machine": {"accelerator": "cpu", "precision": "32", "channels_last": False, "compile": False},
}


def small_presets() -> None:
    """Let the simulators' demo scale be tiny, in this process and those that are forked from it."""
    from taskgan.simulate.mr import settings as mr
    from taskgan.simulate.pet import settings as pet

    small = {"pixels": 48, "pixel_mm": 4.0, "slices": 20, "slice_mm": 8.0, "radial_bins": 60, "radial_mm": 4.0}
    small |= {"angles": 16, "tof_bins": 0, "subsets": 4, "block": 20}
    pet._PRESETS["demo"] = pet._PRESETS["demo"].model_copy(update=small)
    mr._PRESETS["demo"] = mr._PRESETS["demo"].model_copy(
        update={"pixels": 24, "pixel_mm": 9.6, "slices": 3, "slice_mm": 20.0}
    )


def make(folder: Path) -> None:
    """Everything that no command makes; :func:`chaos.trials.Bench.prepare` runs the commands that make the rest."""
    from discs import make_discs
    from exported import Export
    from small_lfw import portrait, small_lfw
    from small_mr import write_cohort
    from taskgan.core.files import write_yaml

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _head(folder / "head.nii")
    write_yaml(folder / "tiny.yaml", RECIPE)
    make_discs(folder / "cohort", train=4, val=4, test=6)
    write_cohort(folder / "mr", contrasts=("T1w", "PDw"))
    (folder / "export").mkdir()
    export = Export(folder / "export")
    for number in range(3):
        export.subject(f"P-{number}", number, polar=number != 1)
    export.table()
    small_lfw(folder / "faces")
    _scans(folder / "scans")
    _study(folder)
    _reader_study(folder)
    for number in range(6):
        place = folder / "photos" / f"s{number % 3}" / f"{number}.{('png', 'jpg', 'tif')[number % 3]}"
        place.parent.mkdir(parents=True, exist_ok=True)
        portrait(number, (24, 20, 3)).save(place)


def _reader_study(folder: Path) -> None:
    """Inputs and clean images of a cohort, read by programs."""
    from small_study import answer_all
    from taskgan.readers.make import make_study
    from taskgan.readers.study import StudyPlan

    plan = StudyPlan(readers=("a", "b"), washout_days=0, repeats=1, programs=True)
    make_study(folder / "read", folder / "cohort", (), plan)
    answer_all(folder / "read")


def _study(folder: Path) -> None:
    """A PET and an Enhanced MR series, and a node that takes the first."""
    from dicom_files import write_enhanced, write_pet
    from taskgan.core.files import write_yaml

    stored = np.random.default_rng(1).integers(1, 900, (16, 16, 3)).astype(np.uint16)
    write_pet(folder / "study" / "pet", stored, np.diag([-2.0, -2, 3, 1]))
    images = [(stored, 1.0, 0.0, "MAGNITUDE", 100, 20)]
    write_enhanced(folder / "study" / "mr" / "one.dcm", images, np.diag([-2.0, -2, 3, 1]), StudyInstanceUID="1.2")
    route = {"callers": ["SCANNER"], "modality": "PT", "model": "run", "to": "files"}
    node = {"queue": "out/queue", "attempts": 2, "backoff_s": 0.1, "free_gb": 0.0, "routes": [route]}
    write_yaml(folder / "node.yaml", {**node, "peers": {"files": {"folder": "out/sent"}}})


def _scans(folder: Path) -> None:
    """Low and standard images of six subjects, and their table."""
    rng = np.random.default_rng(0)
    lines = ["subject,standard,low,label"]
    for number in range(6):
        clean = rng.gamma(2, 1, (16, 16, 4)).astype(np.float32)
        for name, image in (("standard", clean), ("low", clean * rng.gamma(4, 0.25, clean.shape).astype(np.float32))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(image, np.diag([2, 2, 2, 1])), folder / name / f"s{number}.nii.gz")
        lines.append(f"s{number},standard/s{number}.nii.gz,low/s{number}.nii.gz,{number % 2}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")


def _head(path: Path) -> None:
    """BrainWeb labels of shells at 4 mm: white and grey matter, CSF, bone, skin."""
    n, step = 54, 4.0
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = np.array([0, -16, 9]) - 0.5 * (n - 1) * step
    axis = (np.arange(n, dtype=np.float32) - 0.5 * (n - 1)) * step
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    radius = np.sqrt(x**2 + y**2 + z**2)
    labels = np.zeros((n, n, n), dtype=np.uint8)
    shells = ((3, 0, 36), (2, 36, 66), (1, 66, 68), (7, 68, 76), (4, 76, 82), (6, 82, 88))
    for label, low, high in shells:
        labels[(radius >= low) & (radius < high)] = label
    labels[((np.abs(x) - 12) / 8) ** 2 + (y / 30) ** 2 + (z / 16) ** 2 < 1] = 1
    nib.save(nib.Nifti1Image(labels, affine), path)
