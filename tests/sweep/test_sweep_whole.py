"""The verb with nothing replaced: two settings and a reference, trained in seconds."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from taskgan.core.files import write_yaml
from taskgan.info import describe
from taskgan.sweep.run import SweepOptions, run_sweep

RECIPE = {
    "data": {"augment": {"shift": 1}},
    "generator": {"width": 4, "max_width": 8, "depth": 3, "norm": "instance", "dropout_layers": 1},
    "discriminator": {"widths": [4, 8], "norm": "instance"},
    "task": {"training": "frozen", "pretrain": {"network": "resnet10", "width": 4, "steps": 4}},
    "judge": {"network": "convnet", "width": 4, "seed": 1000, "steps": 4},
    "optimiser": {"steps": 6, "batch_size": 4, "lr": 1e-3, "ema": 0.9},
    "validation": {"every": 3, "save_every": 3},
    "machine": {"accelerator": "cpu", "precision": "32", "channels_last": False, "compile": False},
}


def test_from_a_recipe_to_a_choice_without_opening_a_test_image(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, path in enumerate(sorted(cohort.glob("test*.nii.gz"))):
        assert path.read_bytes() == b"poison"
        if number % 2:
            path.unlink()  # half of them are not even there
    write_yaml(tmp_path / "tiny.yaml", RECIPE)
    grid = ("loss.mu_task=0.1,1",)
    asked = SweepOptions(str(tmp_path / "tiny.yaml"), cohort, tmp_path / "out", grid, against=("objective=gan",))
    out = run_sweep(asked).folder
    table = pd.read_csv(out / "sweep.csv")
    assert list(table["status"]) == ["finished"] * 3
    assert list(table["subjects"]) == [7] * 3
    measures = ["psnr", "ssim", "rmse_relative", "task_mae", "judge_mae", "suvr_error", "suvr_slope", "seconds"]
    assert table[measures].notna().all(axis=None)
    for run in table["run"]:
        cases = pd.read_csv(out / run / "evaluation" / "cases.csv")
        assert set(cases["case"]) == {f"val{n}" for n in range(7)}
        assert sorted(p.name for p in (out / run / "restored").glob("*.nii.gz")) == [f"val{n}.nii.gz" for n in range(7)]
    assert (out / "sweep.png").is_file()
    text = describe(out)
    assert "chosen" in text
    assert "mu_task" in text
    capsys.readouterr()
    run_sweep(asked)
    assert "3 of 3 runs are there" in capsys.readouterr().out
