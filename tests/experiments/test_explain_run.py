import csv
import shutil
from pathlib import Path

import pytest
from PIL import Image

from explain.figures import snapshot_steps
from explain.run import explain
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml

FILES = ["explain.csv", "explain.gif", "explain.yaml", "figure4.png", "figure5.png"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explain(tmp_path_factory.mktemp("explained") / "out", steps=4)


def test_everything_is_there_and_agrees(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(p.name for p in made.iterdir()) == FILES
    with (made / "explain.csv").open() as handle:
        rows = {row["method"]: row for row in csv.DictReader(handle)}
    assert list(rows) == ["Regression (L1)", "GAN", "CycleGAN", "Task-GAN"]
    record = read_yaml(made / "explain.yaml")
    assert record["settings"]["steps"] == 4
    for method, row in zip(record["measures"].values(), rows.values(), strict=True):
        for name, value in method.items():
            assert value["estimate"] == pytest.approx(float(row[name]), abs=1e-4)
            assert value["low"] <= value["estimate"] <= value["high"]
            assert len(value["by_seed"]) == 5
            assert sum(value["by_seed"]) / 5 == pytest.approx(value["estimate"], abs=1e-3)
    assert len(record["findings"]) >= 8


def test_the_animation_is_short_and_small(made: Path) -> None:
    path = made / "explain.gif"
    assert path.stat().st_size < 3e6
    with Image.open(path) as film:
        # Frames that are equal to the one before are merged, with their time.
        assert 1 < film.n_frames <= 5
        milliseconds = 0
        for frame in range(film.n_frames):
            film.seek(frame)
            milliseconds += film.info["duration"]
    assert milliseconds <= 10_000
    for steps in (1, 7, 1200, 100_000):
        seen = snapshot_steps(steps)
        assert seen[0] == 0
        assert seen[-1] == steps
        assert len(seen) * 130 + 3000 <= 10_000
        assert list(seen) == sorted(set(seen))


def test_the_same_seed_gives_the_same_files(made: Path, tmp_path: Path) -> None:
    again = explain(tmp_path / "again", steps=4)
    for name in FILES:
        assert (again / name).read_bytes() == (made / name).read_bytes(), name


def test_an_existing_result_is_only_replaced_when_asked(made: Path, tmp_path: Path) -> None:
    before = (made / "explain.csv").read_bytes()
    with pytest.raises(UserError, match="--overwrite"):
        explain(made, steps=1)
    assert (made / "explain.csv").read_bytes() == before
    out = tmp_path / "out"
    shutil.copytree(made, out)
    explain(out, seed=1, steps=2, overwrite=True)
    assert read_yaml(out / "explain.yaml")["settings"]["steps"] == 2
    assert (out / "explain.csv").read_bytes() != before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="is a file, expected a folder"):
        explain(tmp_path / "out", steps=1, overwrite=True)
    assert (tmp_path / "out").read_text() == "mine"


def test_without_a_library_for_figures_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explain.run.find_spec", lambda name: None)
    with pytest.raises(UserError, match="matplotlib and PIL"):
        explain(tmp_path / "out")
    assert not (tmp_path / "out").exists()
