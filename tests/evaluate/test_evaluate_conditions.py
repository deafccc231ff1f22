"""Several contrasts of one source, evaluated from files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fake_contrasts import CONTRASTS, RECIPE, ContrastReader, confused, gridded, make_contrasts, restore_contrasts, soft
from taskgan.cohort.grids import input_is_comparable
from taskgan.cohort.pairs import Pairs, read_pairs
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.features import read_features
from taskgan.evaluate.run import evaluate
from taskgan.judges.lesions import fit_detectors
from taskgan.recipe import Data, Recipe

READERS = {"task": ContrastReader(), "judge": ContrastReader(20.0)}


@pytest.fixture(scope="module")
def contrasts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so tests must not write to it."""
    return make_contrasts(tmp_path_factory.mktemp("contrasts") / "cohort", test=4)


@pytest.fixture(scope="module")
def frames(contrasts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("evaluated")
    made = {}
    for name, change in (("l1", soft(1.2)), ("gan", gridded(3.0, 4.0)), ("fit", confused(3.0))):
        restored = restore_contrasts(place / name, contrasts, name, change)
        made[name] = evaluate(restored, contrasts, place / f"{name}-evaluation", readers=READERS)
    return made


def means(folder: Path, method: str, contrast: str) -> pd.Series:
    frame = read_case_table(folder)
    rows = frame[(frame["method"] == method) & (frame["condition"] == contrast)]
    return rows.select_dtypes("number").mean()


def test_every_row_says_its_condition_and_none_is_of_the_source(frames: dict[str, Path]) -> None:
    frame = read_case_table(frames["l1"])
    assert set(frame["method"]) == {"clean", "l1"}
    assert set(frame["condition"]) == set(CONTRASTS)
    assert list(frame.groupby("condition").size()) == [8, 8]
    assert "another kind of image" in " ".join(read_yaml(frames["l1"] / "evaluation.yaml")["notes"])
    held = read_features(frames["l1"])
    assert held is not None
    assert set(held.images) == {"clean", "restored"}


def test_what_is_done_to_an_image_shows_in_its_own_column(frames: dict[str, Path]) -> None:
    for contrast in CONTRASTS:
        clean, soft_one = means(frames["l1"], "clean", contrast), means(frames["l1"], "l1", contrast)
        grid, fit = means(frames["gan"], "gan", contrast), means(frames["fit"], "fit", contrast)
        assert clean["lesions_found"] >= 0.8 * clean["lesions_true"]
        assert abs(soft_one["lesion_white"] - 1) < abs(clean["lesion_white"] - 1)
        assert grid["checkerboard_error"] > max(soft_one["checkerboard_error"], fit["checkerboard_error"]) + 1e-3
        assert grid["lesions_false"] >= clean["lesions_false"] + 0.5
    assert fit["rim_error"] > 0.2
    assert fit["lesion_snr"] < 0.6 * clean["lesion_snr"]
    assert abs(grid["rim_error"]) < 0.1
    flair = read_case_table(frames["fit"])
    healthy = flair[flair["subject"] == "sub-04"]
    assert healthy["lesion_auc"].isna().all()
    assert (healthy["lesions_true"] == 0).all()
    assert healthy["lesion_white"].isna().all()


def test_readers_name_the_contrast(frames: dict[str, Path]) -> None:
    frame = read_case_table(frames["l1"])
    clean = frame[frame["method"] == "clean"]
    assert (clean["judge_decision"] == clean["label"]).all()


def test_the_summary_is_by_condition_and_overall(frames: dict[str, Path]) -> None:
    summary = json.loads((frames["gan"] / "summary.json").read_text())
    assert set(summary) == {"clean", "gan"}
    own = summary["gan"]["conditions"]
    assert tuple(own) == CONTRASTS
    psnr = [own[c]["quality"]["psnr"]["estimate"] for c in CONTRASTS]
    assert summary["gan"]["quality"]["psnr"]["estimate"] == pytest.approx(np.mean(psnr))
    assert own["T2-FLAIR"]["observed"]["rim"]["low"] is None  # four subjects have no interval
    record = read_yaml(frames["gan"] / "evaluation.yaml")["lesion_observer"]
    assert tuple(record) == CONTRASTS
    assert record["T1w"]["training"] == {"images": 4, "lesions": 16}
    assert record["T1w"]["validation"]["auc"] > 0.9


def test_the_observer_opens_no_test_image(contrasts: Path) -> None:
    pairs = read_pairs(contrasts)
    learnt = Pairs(pairs.source, tuple(pair for pair in pairs if pair.split != "test"))
    with_test, without = (fit_detectors(rows, "contrast", 1.0) for rows in (pairs, learnt))
    assert with_test.keys() == without.keys() == set(CONTRASTS)
    for name, taught in with_test.items():
        assert (taught.detector.template == without[name].detector.template).all()
        assert taught.detector.threshold == without[name].detector.threshold
    nobody = Pairs(pairs.source, pairs.split("test").rows)
    assert fit_detectors(nobody, "contrast", 1.0) == {}


def test_an_input_is_comparable_where_it_has_one_clean_image(contrasts: Path, cohort: Path) -> None:
    assert input_is_comparable(read_pairs(cohort), Data())
    assert not input_is_comparable(read_pairs(contrasts), Data())
    assert not input_is_comparable(read_pairs(contrasts), Data(select={"contrast": "T1w"}))
    assert not input_is_comparable(read_pairs(cohort), Data(condition="dose"))


def test_a_condition_must_be_a_column(contrasts: Path, tmp_path: Path) -> None:
    restored = restore_contrasts(tmp_path / "r", contrasts, "gan", soft(0.5), contrasts=("T1w",))
    recipe = Recipe(data=Data(condition="sequence"), task=RECIPE.task)
    with pytest.raises(UserError, match=r"pairs\.csv has no column 'sequence'"):
        evaluate(restored, contrasts, tmp_path / "e", recipe=recipe, readers={})
