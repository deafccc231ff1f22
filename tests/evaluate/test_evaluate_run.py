import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fake_cohort import AFFINE, CORTEX, REFERENCE, StubReader, blur, make_cohort, make_restorations, shrink
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.artefact import commit, verify
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.evaluate.cases import CASE_COLUMNS, OPTIONAL_COLUMNS, read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.images.volumes import read_volume, write_volume
from taskgan.judges.properties import EvaluationSettings
from taskgan.recipe import Data, Recipe

STUBS = {"task": StubReader(), "judge": StubReader(1.55, 5.0)}


@pytest.fixture(scope="module")
def evaluated(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("evaluated")
    restored = make_restorations(place / "restored", cohort, "gan", shrink(0.5, 0.05), seed=7)
    return evaluate(restored, cohort, place / "evaluation", readers=STUBS)


def rows_of(folder: Path, method: str) -> pd.DataFrame:
    frame = read_case_table(folder)
    return frame[frame["method"] == method].set_index("case")


def test_one_row_a_test_case_for_input_clean_and_method(evaluated: Path) -> None:
    frame = read_case_table(evaluated)
    assert tuple(frame.columns) == (*CASE_COLUMNS, *OPTIONAL_COLUMNS)
    with (evaluated / "cases.csv").open() as handle:  # none of the optional columns where nothing fills them
        assert handle.readline().strip().split(",") == list(CASE_COLUMNS)
    assert list(frame["method"][:3]) == ["input", "clean", "gan"]
    assert sorted(frame["case"].unique()) == [f"sub-{i:02d}" for i in range(1, 9)]
    assert len(frame) == 24
    assert set(frame.loc[frame["method"] == "gan", "seed"]) == {7.0}
    assert frame.loc[frame["method"] != "gan", ["seed", "fold"]].isna().all(axis=None)


def test_clean_is_perfect_and_restored_beats_the_input(evaluated: Path) -> None:
    clean, degraded, restored = (rows_of(evaluated, m) for m in ("clean", "input", "gan"))
    assert np.isinf(clean["psnr"]).all()
    assert (clean["ssim"] > 0.999999).all()
    assert (clean[["rmse", "rmse_relative", "rmse_head", "suvr_bias"]] == 0).all(axis=None)
    assert (restored["psnr"] > degraded["psnr"] + 3).all()
    assert (restored["rmse_relative"] < degraded["rmse_relative"]).all()
    # All error is inside the head, so the same squares are spread over fewer voxels.
    assert (restored["rmse_head"] > restored["rmse"]).all()


def test_the_composite_is_measured_on_the_written_images(evaluated: Path, cohort: Path) -> None:
    clean, restored = rows_of(evaluated, "clean"), rows_of(evaluated, "gan")
    assert np.allclose(clean["suvr_restored"], clean["suvr_true"], atol=1e-4)
    assert np.allclose(clean["suvr_reference"], clean["suvr_restored"])
    path = evaluated / "cases.csv"
    named = (path.parent / restored.loc["sub-02", "restored"]).resolve()
    image = read_volume(named).data
    expected = image[CORTEX].mean() / image[REFERENCE].mean()
    assert restored.loc["sub-02", "suvr_restored"] == pytest.approx(expected, abs=1e-5)
    assert (restored["suvr_decision"] == (restored["suvr_restored"] >= 1.38)).all()
    slope = np.polyfit(restored["suvr_reference"], restored["suvr_restored"], 1)[0]
    assert slope == pytest.approx(0.5, abs=0.05)


def test_readers_are_heard_separately_and_recorded(evaluated: Path) -> None:
    clean = rows_of(evaluated, "clean")
    assert (clean["task_decision"] == clean["label"]).all()
    # The judge's cut is higher: it says less of a positive, and its slope is lower: more of a clear negative.
    positive = clean["label"] == 1
    assert (clean["task_probability"] > clean["judge_probability"])[positive].all()
    assert (clean["task_probability"] < clean["judge_probability"])[~positive].all()
    record = read_yaml(evaluated / "evaluation.yaml")
    assert record["method"] == "gan"
    assert record["checksum"] == "ab" * 32
    assert record["readers"]["task"]["network"] == "stub"
    assert record["readers"]["task"]["on_clean"]["wrong"] == 0
    assert record["settings"] == {"slices": 40, "suvr_cut": 1.38, "false_lesions": 1.0}
    summary = json.loads((evaluated / "summary.json").read_text())
    assert set(summary) == {"input", "clean", "gan"}
    assert summary["gan"]["suvr"]["slope"]["estimate"] == pytest.approx(0.5, abs=0.05)


class Brightness:
    """Reads nothing but how bright a slice is."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return slices.mean(axis=(1, 2)) / 10


def test_a_reader_sees_every_image_in_the_degraded_images_units(cohort: Path, tmp_path: Path) -> None:
    restored = make_restorations(tmp_path / "r", cohort, "bright", lambda clean, rng: 3 * clean)
    out = evaluate(restored, cohort, tmp_path / "e", readers={"judge": Brightness()})
    bright, clean = (rows_of(out, m)["judge_probability"] for m in ("bright", "clean"))
    assert np.allclose(bright / clean, 3, rtol=1e-4)


def test_any_tools_folder_and_another_cut(cohort: Path, tmp_path: Path) -> None:
    restored = make_restorations(tmp_path / "r", cohort, "x", blur(0.5), described=False)
    out = evaluate(
        restored, cohort, tmp_path / "e", method="NLM", readers={}, settings=EvaluationSettings(suvr_cut=9.0)
    )
    rows = rows_of(out, "NLM")
    assert (rows["suvr_decision"] == 0).all()
    assert rows["judge_decision"].isna().all()
    assert rows["seed"].isna().all()


def test_a_cohort_without_masks_or_two_labels_is_measured_all_the_same(cohort: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(cohort, bare)
    keep = ("case", "subject", "split", "degraded", "clean")
    write_pairs(bare / "pairs.csv", [{**{k: p.columns[k] for k in keep}, "label": ""} for p in read_pairs(cohort)])
    restored = make_restorations(tmp_path / "r", bare, "gan", blur(0.5))
    out = evaluate(restored, bare, tmp_path / "e")
    rows = rows_of(out, "gan")
    assert rows["psnr"].notna().all()
    assert rows[["psnr_head", "suvr_restored", "task_mae", "label"]].isna().all(axis=None)
    assert "do not hold both labels" in read_yaml(out / "evaluation.yaml")["notes"][0]


def test_doses_are_selected_by_the_recipe_and_missing_cases_are_said(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "doses", test=3, doses=(1, 25))
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(0.5))
    recipe = Recipe(data=Data(select={"dose": 25}))
    out = evaluate(restored, cohort, tmp_path / "e", recipe=recipe, readers={})
    assert set(read_case_table(out)["dose"]) == {25.0}
    (restored / "restored.csv").write_text("case,restored\nsub-01_dose-25,images/sub-01_dose-25_restored.nii.gz\n")
    out = evaluate(restored, cohort, tmp_path / "e2", recipe=recipe, readers={})
    assert "2 of 3 test cases were not restored" in read_yaml(out / "evaluation.yaml")["notes"][0]


def test_restored_cases_that_the_recipe_leaves_out_are_said(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "doses", test=3, doses=(1, 25))
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(0.5))
    recipe = Recipe(data=Data(select={"dose": 25}))
    out = evaluate(restored, cohort, tmp_path / "e", recipe=recipe, readers={})
    notes = read_yaml(out / "evaluation.yaml")["notes"]
    assert notes == ["3 restored test cases were left out, because the recipe selects dose = 25"]


def test_a_test_subject_that_training_saw_is_said(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "leaky", test=3, doses=(1, 25))
    rows = [dict(pair.columns) for pair in read_pairs(cohort)]
    rows[0]["split"] = "train"  # one dose of sub-01; the other stays a test case
    write_pairs(cohort / "pairs.csv", rows)
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(0.5))
    notes = read_yaml(evaluate(restored, cohort, tmp_path / "e", readers={}) / "evaluation.yaml")["notes"]
    assert notes == ["1 test subjects have rows in train or val too, so that networks have seen them: sub-01"]


def test_images_on_another_grid_are_refused(cohort: Path, tmp_path: Path) -> None:
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(0.5))
    path = restored / "images/sub-01_restored.nii.gz"
    data = read_volume(path).data
    write_volume(path, data[:-1], AFFINE)
    with pytest.raises(UserError, match=r"sub-01_restored.* has shape 35×44×10, expected 36×44×10"):
        evaluate(restored, cohort, tmp_path / "e", readers={})
    moved = AFFINE.copy()
    moved[0, 3] = 4.0
    write_volume(path, data, moved)
    with pytest.raises(UserError, match=r"another grid .* 4\.00 mm away"):
        evaluate(restored, cohort, tmp_path / "e", readers={})
    assert not (tmp_path / "e").exists()


def test_refusals_name_the_file(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "c", test=2)
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(0.5))
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match=r"file is a file, expected a folder"):
        evaluate(restored, cohort, tmp_path / "file", readers={})
    assert (tmp_path / "file").read_text() == "kept"
    clean = cohort / "sub-01/clean.nii.gz"
    write_volume(clean, np.full_like(read_volume(clean).data, 0.0), AFFINE)
    with pytest.raises(UserError, match=r"sub-01/clean\.nii\.gz cannot be compared with: .* is constant"):
        evaluate(restored, cohort, tmp_path / "e", readers={})
    assert not (tmp_path / "e").exists()


def test_an_evaluation_is_not_overwritten_unless_asked(cohort: Path, tmp_path: Path) -> None:
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(0.5))
    out = evaluate(restored, cohort, tmp_path / "e", readers=STUBS)
    before = (out / "cases.csv").read_bytes()
    with pytest.raises(UserError, match="--overwrite"):
        evaluate(restored, cohort, out, readers=STUBS)
    evaluate(restored, cohort, out, readers=STUBS, overwrite=True)
    assert (out / "cases.csv").read_bytes() == before
    assert verify(out) == (1, [])
    # Without its marker it is unfinished, and is made anew, whatever else is there already.
    (out / "evaluation.yaml").unlink()
    evaluate(restored, cohort, out, readers=STUBS)
    assert (out / "evaluation.yaml").is_file()


def test_a_finished_evaluation_says_so_and_a_changed_image_is_refused(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(0.5))
    images = sorted(restored.rglob("*.nii*"))
    commit(restored / "restored.yaml", {"method": "gan", "status": "complete"}, images)
    out = evaluate(restored, cohort, tmp_path / "e", readers={})
    before = (out / "evaluation.yaml").read_bytes()
    evaluate(restored, cohort, out, readers={})
    assert "already done" in capsys.readouterr().out
    assert (out / "evaluation.yaml").read_bytes() == before
    with pytest.raises(UserError, match="holds a result of other inputs or settings"):
        evaluate(restored, cohort, out, readers={}, settings=EvaluationSettings(suvr_cut=1.5))
    (out / "cases.csv").unlink()
    with pytest.raises(UserError, match=r"cases\.csv is missing since evaluation\.yaml was written"):
        evaluate(restored, cohort, out, readers={})
    images[0].write_bytes(images[1].read_bytes())
    with pytest.raises(UserError, match="was changed since it was restored"):
        evaluate(restored, cohort, tmp_path / "new", readers=STUBS)


def test_a_restoration_equal_to_the_clean_image_has_no_error_at_all(cohort: Path, tmp_path: Path) -> None:
    restored = make_restorations(tmp_path / "r", cohort, "perfect", lambda clean, rng: clean)
    rows = rows_of(evaluate(restored, cohort, tmp_path / "e", readers={}), "perfect")
    assert np.isinf(rows["psnr"]).all()
    assert (rows[["rmse", "suvr_bias"]] == 0).all(axis=None)
