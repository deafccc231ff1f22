"""Every kind of property on the whole path: T, training, restoring, judging, reporting."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.files import read_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.judges.readings import READING_COLUMNS, read_readings
from taskgan.limit.run import limit
from taskgan.recipe import Recipe
from taskgan.report.run import compare
from taskgan.restore.run import restore
from taskgan.train.run import train

KINDS: dict[str, dict[str, Any]] = {
    "binary": {},
    "multi_class": {"task__labels": "grade", "task__classes": 3},
    "multi_label": {"task__labels": ["label", "other"]},
    "regression": {"task__labels": "value", "task__cut": 1.15},
    "segmentation": {"task__labels": "ring", "task__pretrain__network": "unet", "judge__network": "dilated"},
    "embedding": {"task__labels": "subject", "task__size": 4},
}

IN_THE_REPORT = {
    "Slice MAE": {"binary", "multi_label", "regression"},
    ">1 − Dice<": {"segmentation"},
    "always “negative”": {"binary"},
    "Is the property kept?": KINDS.keys() - {"binary"},
    "One by one": KINDS.keys() - {"binary", "regression"},
}


@pytest.fixture
def labelled(tmp_path: Path, make_cohort: Callable[..., Path]) -> Path:
    """The cohort of these tests with a column for every kind."""
    folder = make_cohort(tmp_path / "cohort", subjects={"train": 6, "val": 3, "test": 3})
    rows = []
    for k, pair in enumerate(read_pairs(folder)):
        assert pair.clean is not None
        image = nib.load(pair.clean)  # type: ignore[attr-defined]
        data = image.get_fdata()
        ring = (data > 0.5 * data.max()).astype(np.uint8)
        nib.save(nib.Nifti1Image(ring, image.affine), folder / f"{pair.case}_ring.nii.gz")  # type: ignore[attr-defined]
        rows.append(
            {
                **pair.columns,
                "value": 1.0 + 0.3 * int(pair.columns["label"]) + 0.01 * k,
                "grade": k % 3,
                "ring": f"{pair.case}_ring.nii.gz",
                "other": "" if k % 5 == 2 else k % 2,
            }
        )
    write_pairs(folder / "pairs.csv", rows)
    return folder


@pytest.mark.parametrize("form", ["squared", "proper"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_trains_restores_evaluates_and_reports(
    kind: str, form: str, labelled: Path, tmp_path: Path, recipe: Callable[..., Recipe]
) -> None:
    asked = recipe(
        task__kind=kind,
        task__loss=form,
        task__training="joint" if form == "proper" else "frozen",
        task__pretrain__steps=3,
        judge__steps=3,
        optimiser__steps=2,
        **KINDS[kind],
    )
    run = tmp_path / "run"
    train(asked, labelled, run)
    with (run / "metrics.csv").open() as handle:
        last = list(csv.DictReader(handle))[-1]
    assert np.isfinite([float(last[name]) for name in ("task", "val_task_mae", "val_objective")]).all()
    train(asked, labelled, run)  # finished: the recipe that was written down is the one that was asked for
    if kind == "regression":
        assert read_yaml(run / "recipe.yaml")["task"]["scale"] > 0

    if form == "squared":
        return  # the rest of the path does not know the form
    restore(run / "model", [labelled / "pairs.csv"], tmp_path / "restored", split="test")
    out = evaluate(tmp_path / "restored", labelled, tmp_path / "evaluation")
    cases = read_case_table(out)
    assert cases["task_mae"].notna().all()
    assert cases["judge_mae"].notna().all()
    _check_columns(kind, cases)
    _check_outputs(kind, read_readings(out))
    named = None
    if kind != "embedding":  # which the pairs of a verification.csv tell
        named = limit(asked, labelled, tmp_path / "limit", models=[run])
        readings = read_readings(named)
        assert set(readings["judge"]) == {f"judge taught on {what}" for what in ("clean", "inputs", "task_gan")}
        assert readings.loc[readings["image"] == "inputs", "error"].notna().all()
    text = compare([out], tmp_path / "report", baseline="input", limit=named).read_text(encoding="utf-8")
    assert ('id="limit-section"' in text) == (named is not None)
    for word, kinds in IN_THE_REPORT.items():
        assert (word in text) == (kind in kinds), word


def _check_columns(kind: str, cases: pd.DataFrame) -> None:
    one_number = kind in ("binary", "regression")
    decided = kind in ("binary", "regression", "multi_class")
    assert cases["judge_probability"].notna().all() == one_number
    assert cases["judge_decision"].notna().all() == decided
    assert cases["label"].notna().all()
    if kind == "multi_class":
        assert set(cases["label"]) == {0.0, 1.0, 2.0}
    if kind == "embedding":
        assert (cases.loc[cases["method"] == "clean", "judge_mae"] < 1e-3).all()


def _check_outputs(kind: str, outputs: pd.DataFrame) -> None:
    names = {
        "binary": {"label"},
        "regression": {"value"},
        "multi_class": {"class 0", "class 1", "class 2"},
        "multi_label": {"label", "other"},
        "segmentation": {"ring"},
        "embedding": {"identity"},
    }
    assert set(outputs["output"]) == names[kind]
    assert tuple(outputs.columns) == READING_COLUMNS
    assert len(outputs) == 3 * 3 * 2 * len(names[kind])  # cases, images, readers


def test_the_other_objectives_need_no_labels_of_a_kind_without_classes(
    labelled: Path, tmp_path: Path, recipe: Callable[..., Recipe]
) -> None:
    rows = [dict(pair.columns) | {"value": "", "ring": ""} for pair in read_pairs(labelled)]
    for row in rows:
        row.update({name: str(labelled / row[name]) for name in ("degraded", "clean")})
    write_pairs(tmp_path / "pairs.csv", rows)
    for kind in ("regression", "segmentation"):
        asked = recipe(objective="l1", task__kind=kind, optimiser__steps=1, **KINDS[kind])
        assert train(asked, tmp_path, tmp_path / kind).is_dir()
