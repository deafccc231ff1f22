"""The Python of the documents, run as it stands on files that the simulator did not write."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from taskgan.recipe import dump_recipe, read_recipe

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
    "judge.network=convnet",
    "judge.width=4",
    "judge.steps=4",
    "judge.batch_size=4",
    "optimiser.steps=4",
    "optimiser.batch_size=2",
    "validation.every=2",
    "data.workers=0",
    "machine.accelerator=cpu",
    "machine.precision=32",
    "machine.channels_last=false",
    "machine.compile=false",
]


def blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """What a PET centre's export looks like: int16 with a slope, oblique affine, an odd grid, a labels table."""
    rng = np.random.default_rng(5)
    affine = np.array([[-1.8, 0.1, 0, 40], [0.1, 1.8, 0.2, -50], [0, -0.2, 3.1, -9], [0, 0, 0, 1.0]])
    with (tmp_path / "labels.csv").open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["case", "label", "age"])
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


def test_the_documents_lines_run_on_a_users_own_files(exported: Path) -> None:
    small = dump_recipe(read_recipe("pet-demo", SMALL))
    for name in ("pet-demo", "pet"):  # a file of that name goes before the shipped recipe
        (exported / name).write_text(yaml.safe_dump(small))
    (exported / "COHORT").symlink_to(exported / "cohort")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=exported, env=environment, capture_output=True, text=True, timeout=300)

    checks = """
assert restored.shape == scan.shape and restored.dtype == "float64" and page.name == "report.html"
assert torch.isfinite(loss) and restorer.card.custom == "Smooth"
"""
    done = run(sys.executable, "-c", "\n".join([*blocks("docs/python.md"), checks]))
    assert done.returncode == 0, done.stderr
    given = "import numpy as np; array = np.full((25, 31), 3, np.int16)"
    checks = "assert restored.shape == (25, 31)"
    done = run(sys.executable, "-c", "\n".join([given, *blocks("README.md"), checks]))
    assert done.returncode == 0, done.stderr
    assert (exported / "runs" / "task_gan" / "evaluation" / "summary.json").is_file()

    low = exported / "low" / "P03.nii.gz"
    done = run("taskgan", "restore", "run/model", str(low), "-o", "back.nii.gz")
    assert done.returncode == 0, done.stderr
    before, after = nib.load(low), nib.load(exported / "back.nii.gz")
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    assert after.shape == before.shape
    assert 0.7 < after.get_fdata().mean() / before.get_fdata().mean() < 1.4
    done = run("taskgan", "restore", "own", str(low), "-o", "own.nii.gz")
    assert done.returncode == 2
    assert "own class Smooth" in done.stderr
