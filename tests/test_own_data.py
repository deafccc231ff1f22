"""The README's lines for a user's own data, run as they stand on files that the simulator did not write."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SMALL = [
    "generator.width=4",
    "generator.depth=3",
    "generator.dropout_layers=1",
    "generator.residual=true",
    "discriminator.widths=[4,8]",
    "task.pretrain.network=resnet10",
    "task.pretrain.width=4",
    "task.pretrain.steps=4",
    "task.pretrain.batch_size=4",
    "optimiser.steps=4",
    "optimiser.batch_size=2",
    "validation.every=2",
    "data.workers=0",
    "machine.accelerator=cpu",
    "machine.precision=32",
    "machine.channels_last=false",
    "machine.compile=false",
]


def readme_blocks() -> tuple[str, str]:
    after = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- own-data")[1]
    python, shell = re.findall(r"```\w*\n(.*?)```", after, flags=re.DOTALL)[:2]
    return python, shell


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """What a PET centre's export looks like: int16 with a slope, oblique affine, an odd grid, a labels table."""
    rng = np.random.default_rng(5)
    affine = np.array([[-1.8, 0.1, 0, 40], [0.1, 1.8, 0.2, -50], [0, -0.2, 3.1, -9], [0, 0, 0, 1.0]])
    with (tmp_path / "labels.csv").open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["subject", "label", "age"])
        for k in range(8):
            table.writerow([f"P{k:02d}", k % 2, 70 + k])
            body = np.zeros((25, 31, 5))
            body[5:20, 6:26] = 1 + 0.5 * (k % 2)
            body[10:14, 10:14] = 1.0
            for folder, noise in (("low", 0.4), ("standard", 0.05)):
                values = np.clip(body + noise * body * rng.normal(size=body.shape), 0, None) * 6000
                image = nib.Nifti1Image(values.astype(np.int16), affine)
                image.header.set_slope_inter(0.5, 0)
                (tmp_path / folder).mkdir(exist_ok=True)
                nib.save(image, tmp_path / folder / f"P{k:02d}.nii.gz")
    return tmp_path


def test_the_readmes_lines_train_on_a_users_own_files(exported: Path) -> None:
    python, shell = readme_blocks()
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    subprocess.run([sys.executable, "-c", python], cwd=exported, check=True, env=environment)
    command = shlex.split(shell.strip()) + [f"--set={s}" for s in SMALL]
    done = subprocess.run(command, cwd=exported, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    model = exported / "runs" / "task_gan" / "model"
    assert {p.name for p in model.iterdir()} >= {"generator.safetensors", "model.yaml"}

    low = exported / "low" / "P03.nii.gz"
    restored = exported / "back.nii.gz"
    again = ["taskgan", "restore", str(model), str(low), "-o", str(restored)]
    done = subprocess.run(again, cwd=exported, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    before, after = nib.load(low), nib.load(restored)
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    assert after.shape == before.shape
    assert 0.7 < after.get_fdata().mean() / before.get_fdata().mean() < 1.4
