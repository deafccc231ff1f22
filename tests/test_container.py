"""The container's entry script on folders as mercure makes them; the Dockerfile names files that are there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import write_pet, write_series
from small_models import write

ROOT = Path(__file__).parents[1]


def entry(source: Path, out: Path, settings: Any) -> subprocess.CompletedProcess[str]:
    out.mkdir(exist_ok=True)
    (source / "task.json").write_text(json.dumps({"id": "x", "process": {"settings": settings}}))
    folders = {"MERCURE_IN_DIR": str(source), "MERCURE_OUT_DIR": str(out)}
    command = [sys.executable, str(ROOT / "docker" / "entry.py")]
    return subprocess.run(command, env={**os.environ, **folders}, capture_output=True, text=True, check=False)


def test_a_module_of_mercure_takes_a_folder_and_gives_one(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(1, 900, (16, 16, 3)).astype(np.uint16)
    source = write_pet(tmp_path / "in", stored, np.diag([-2.0, -2, 3, 1]), series=4)
    ct = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT", "StudyInstanceUID": "1.2"}
    write_series(source, stored, np.diag([-2.0, -2, 3, 1]), series=2, **ct)
    model = str(write(tmp_path / "model"))
    done = entry(source, tmp_path / "out", {"model": model, "series": ["PT"]})
    assert done.returncode == 0, done.stderr
    derived = [pydicom.dcmread(path) for path in (tmp_path / "out").iterdir()]
    assert len(derived) == 3
    assert {d.ImageType[0] for d in derived} == {"DERIVED"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [({}, "it names no model"), ({"modle": "x"}, "its setting modle is 'x', expected model"), ({"pdf": "no"}, "pdf")],
)
def test_a_task_that_is_wrong_is_said_and_gives_nothing(tmp_path: Path, settings: Any, words: str) -> None:
    (tmp_path / "in").mkdir()
    done = entry(tmp_path / "in", tmp_path / "out", settings)
    assert done.returncode == 2
    assert words in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_without_mercure_it_is_the_command_line() -> None:
    bare = {key: value for key, value in os.environ.items() if not key.startswith("MERCURE_")}
    command = [sys.executable, str(ROOT / "docker" / "entry.py"), "--version"]
    assert subprocess.run(command, env=bare, capture_output=True, text=True, check=True).stdout.startswith("taskgan ")


def test_the_dockerfile_copies_what_is_there_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()]
    assert {"src", "docker", "constraints.txt"} <= set(copied)
    ignored = (ROOT / ".dockerignore").read_text()
    assert all((ROOT / name).exists() and f"!{name}\n" in ignored for name in copied)
    assert text.index("USER taskgan") < text.index("ENTRYPOINT")
    script = ROOT / "docker" / "install.sh"
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    wrong = subprocess.run(["sh", script, "rocm"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr) == (2, "install.sh: rocm is unknown, expected cpu or cuda\n")
