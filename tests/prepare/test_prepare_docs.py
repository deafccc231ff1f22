"""The lines of docs/prepare-mr.md, run as they stand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

from exported import SHAPE, save
from taskgan.cohort.pairs import read_pairs
from taskgan.physics.sequences import CONTRASTS, MASK_TYPES
from taskgan.prepare.mr.rows import KNOWN, PARTS, ROLES, UNITS

PAGE = (Path(__file__).parents[2] / "docs" / "prepare-mr.md").read_text(encoding="utf-8")


def test_the_pages_lines_make_a_cohort(tmp_path):
    rng = np.random.default_rng(3)
    for number in range(3):
        folder = tmp_path / "export" / f"P{number:02d}"
        for delay in (150, 600, 1950, 4200):
            for echo in (1, 2):
                image = 100 * (delay - 400) / 4000 + rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)
                for part, data in (("magnitude", np.abs(image)), ("phase", np.angle(image))):
                    save(folder / f"d{delay:04d}_e{echo}_{part}.nii.gz", data.astype(np.float32))
        for contrast in ("T1w", "T2-FLAIR"):
            save(folder / f"{contrast}.nii.gz", rng.uniform(1, 2, SHAPE).astype(np.float32))
    python, shell = (re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1] for kind in ("python", "sh"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True, env=environment)
    done = subprocess.run(shlex.split(shell), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cohort: 3 subjects (1 train, 1 val, 1 test), 6 contrast images" in done.stdout
    pairs = read_pairs(tmp_path / "cohort")
    assert len(pairs) == 6
    assert "delay4_echo2_imag" in pairs.columns


def test_the_page_names_every_column_and_value():
    for word in (*KNOWN, *PARTS, *ROLES, *CONTRASTS, *MASK_TYPES, *UNITS):
        assert f"`{word}`" in PAGE, word
