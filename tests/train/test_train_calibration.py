"""The line by which a model changes the SUVR: fitted at the end of training, shown wherever its images go."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from discs import make_discs
from taskgan.core.files import read_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.images.volumes import read_sidecar
from taskgan.info import describe
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe, read_recipe
from taskgan.restore.filters import restore_by_filter
from taskgan.restore.refine import Refinement
from taskgan.restore.run import restore
from taskgan.train.run import train


def test_card_sidecar_record_and_evaluation_have_the_line(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    cohort, run = make_discs(tmp_path / "cohort", train=4, val=8, test=6), tmp_path / "run"
    train(recipe(objective="l1", optimiser__steps=60, optimiser__lr=5e-3, generator__norm="batch"), cohort, run)
    line = read_model(run)[1].calibration
    assert line["subjects"] == 8
    assert line["slope"]["low"] < line["slope"]["estimate"] < line["slope"]["high"]
    assert "slope estimate" in describe(run / "model")
    restore(run, cohort, tmp_path / "out", split="test", precision="32")
    assert read_yaml(tmp_path / "out" / "restored.yaml")["calibration"] == line
    assert read_sidecar(tmp_path / "out" / "test00.nii.gz")["Calibration"]["slope"] == line["slope"]
    evaluate(tmp_path / "out", cohort, tmp_path / "evaluation", readers={})
    rows = read_case_table(tmp_path / "evaluation")
    own = rows[rows["method"] == "l1"]
    assert line["slope"]["low"] > 0
    expected = (own["suvr_restored"] - line["intercept"]["estimate"]) / line["slope"]["estimate"]
    assert own["suvr_calibrated"].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert rows[rows["method"] == "input"]["suvr_calibrated"].isna().all()
    summary = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    assert set(summary["l1"]["calibrated"]) == {"suvr", "reader"}
    assert read_yaml(tmp_path / "evaluation" / "evaluation.yaml")["calibration"]["subjects"] == 8
    assert "after its line" in describe(tmp_path / "evaluation")

    # The line is that of plain restorations; with the input's values kept, the SUVR is the input's.
    restore(run, cohort, tmp_path / "kept", split="test", refinement=Refinement("cortex,reference"))
    assert "calibration" not in read_yaml(tmp_path / "kept" / "restored.yaml")
    assert "Calibration" not in read_sidecar(tmp_path / "kept" / "test00.nii.gz")
    evaluate(tmp_path / "kept", cohort, tmp_path / "other", readers={})
    rows = read_case_table(tmp_path / "other")
    before, after = (rows[rows["method"] == name]["suvr_restored"].to_numpy() for name in ("input", "l1"))
    assert after.tolist() == pytest.approx(before.tolist(), rel=1e-5)


def test_a_filter_has_a_line_too(tmp_path: Path) -> None:
    cohort = make_discs(tmp_path / "cohort", train=1, val=6, test=1)
    settings = read_recipe("pet", ("data.select={}",))
    restore_by_filter("gaussian", [cohort], tmp_path / "out", recipe=settings, split="test")
    line = read_yaml(tmp_path / "out" / "restored.yaml")["calibration"]
    assert 0 < line["slope"]["estimate"] < 1.2
    assert line["subjects"] == 6
