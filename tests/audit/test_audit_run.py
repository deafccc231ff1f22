import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from discs import AFFINE, CORE, RIM, make_discs, make_restored
from taskgan.audit.inputs import AuditSettings, from_cohort
from taskgan.audit.judges import Judge, judge_settings
from taskgan.audit.run import Audit, audit
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml, write_yaml
from taskgan.images.volumes import read_volume, write_volume
from taskgan.info import describe
from taskgan.judges.readings import read_readings
from taskgan.recipe import Recipe
from taskgan.stats.conformal import ConformalCalibration


def test_the_erased_positives_are_who_flipped(audited: Audit) -> None:
    wanted = ["test01", "test05", "test09"]
    for judge in ("convnet-1000", "SUVR"):
        found = audited.outcome.metrics[judge]["erased"]
        assert (found.flipped, found.to_negative, found.to_positive, found.subjects) == (3, 3, 0, 12)
        assert audited.outcome.metrics[judge]["kept"].flipped == 0
    with (audited.page.parent / "flips.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert sorted(row["case"] for row in rows) == wanted
    first = rows[0]
    assert first["SUVR_direction"] == "positive to negative"
    assert float(first["SUVR_clean"]) > 1.38 > float(first["SUVR_restored"])
    assert float(first["SUVR_margin"]) == pytest.approx(1.38 - float(first["SUVR_restored"]), abs=1e-4)
    assert audited.verdict.headline.startswith("3 of 12 patients changed diagnosis in the eyes of ")
    assert "3 positives became negative" in audited.verdict.headline


def test_against_another_method_by_subject(audited: Audit) -> None:
    [flips] = [c for c in audited.outcome.contrasts if (c.judge, c.measure) == ("SUVR", "flips")]
    assert (flips.only_audited, flips.only_other, flips.subjects) == (3, 0, 12)
    assert flips.p == pytest.approx(0.25)


def test_what_is_written(audited: Audit) -> None:
    out = audited.page.parent
    record = read_yaml(out / "audit.yaml")
    assert record["fit"] == {"convnet-1000": True, "resnet10-1001": True, "SUVR": True}
    assert record["opinions"]["SUVR"]["erased"]["flips"]["estimate"] == pytest.approx(0.25)
    assert {j["name"] for j in record["judges"]} == {"convnet-1000", "resnet10-1001"}
    assert len(list((out / "figures").glob("case-*.png"))) == 3
    readings = read_readings(out)
    assert set(readings["image"]) == {"input", "clean", "erased", "kept"}
    assert set(readings["split"]) == {"test", "val"}
    calibration = ConformalCalibration.load(out, "SUVR")
    assert calibration.subjects == 8
    low, high = calibration.interval(1.5)
    assert low < 1.5 < high
    assert "3 of 12 patients" in describe(out)
    page = audited.page.read_text()
    chosen = "The 8 val subjects that calibrated helped to choose convnet-1000, resnet10-1001"
    assert page.count(chosen) == 2  # on top, and beside the intervals
    assert any(chosen in sentence for sentence in record["warnings"])
    assert re.search(r"(?<![\w/.-])-\d", re.sub(r"<(style|pre).*?</\1>|src=\"[^\"]*\"", "", page, flags=re.S)) is None
    assert "Against the data" in page
    assert "<script" not in page


def test_a_rate_that_passes_or_fails(audited: Audit) -> None:
    assert audited.exceeds(0.3)  # 3 of 12 may be up to 57 %
    assert not audited.exceeds(0.6)


def test_the_default_judges_differ_from_the_task_network_and_from_each_other() -> None:
    recipe = Recipe()
    first, second = judge_settings(recipe)
    assert len({recipe.task.pretrain.network, first.network, second.network}) == 3
    assert len({recipe.task.pretrain.seed, first.seed, second.seed}) == 3


class Blind:
    """Says the same of every image."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full(len(slices), 0.9, dtype=np.float32)


def test_who_cannot_read_clean_images_is_no_judge(discs: Path, tmp_path: Path) -> None:
    inputs = from_cohort(discs / "erased", _without_masks(discs, tmp_path))
    done = audit(inputs, tmp_path / "audit", judges=[Judge("blind", Blind())])
    assert done.verdict.headline.startswith("Nothing can be said")
    assert any("Blind is no judge: it cannot read the clean images" in w for w in done.verdict.warnings)
    assert done.outcome.worst is None
    assert done.exceeds(1.0)


def test_the_observer_judges_alone_where_nobody_can_be_taught(tmp_path: Path) -> None:
    cohort = make_discs(tmp_path / "cohort", train=0, val=0, test=8)
    done = audit(from_cohort(make_restored(tmp_path / "r", cohort), cohort), tmp_path / "audit")
    assert done.outcome.readings.judges == ["SUVR"]
    assert any("the SUVR observer judges alone" in w for w in done.verdict.warnings)
    bare = make_discs(tmp_path / "bare", train=0, val=0, test=8, masks=False)
    with pytest.raises(UserError, match=r"do not hold both labels.*--judge FOLDER"):
        audit(from_cohort(make_restored(tmp_path / "b", bare), bare), tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_calibration_on_a_share_of_the_test_subjects_is_not_measured_on_them(
    discs: Path, judges: list[Judge], tmp_path: Path
) -> None:
    inputs = from_cohort(discs / "kept", discs / "cohort")
    done = audit(inputs, tmp_path / "a", judges=judges, settings=AuditSettings(calibration="0.5", alpha=0.2))
    [suvr] = [m for m in done.outcome.conformal.coverage if m.calibration.target == "SUVR"]
    assert (suvr.calibration.subjects, suvr.subjects) == (6, 6)
    other = make_discs(tmp_path / "other", train=0, val=0, test=10, noise=0.8, seed=3)
    far = audit(
        from_cohort(make_restored(tmp_path / "kept", other), other),
        tmp_path / "far",
        settings=AuditSettings(calibration=str(tmp_path / "a" / "conformal.yaml"), alpha=0.2),
    )
    told = " ".join(far.verdict.warnings)
    assert "Exchangeability is broken: calibrated on the cohort cohort, applied to other" in told
    assert "degraded test images differ from the calibration images in their noise" in told


def test_misuse_is_a_sentence_and_leaves_nothing(discs: Path, judges: list[Judge], tmp_path: Path) -> None:
    inputs = from_cohort(discs / "kept", discs / "cohort")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match=r"file is a file"):
        audit(inputs, tmp_path / "file", judges=judges)
    for told, sentence in (
        ("1.5", r"a share of the test subjects lies between 0 and 1"),
        ("nowhere.yaml", r"expected val, none, a share such as 0\.5 or a conformal\.yaml"),
    ):
        with pytest.raises(UserError, match=sentence):
            audit(inputs, tmp_path / "out", judges=[tmp_path], settings=AuditSettings(calibration=told))
    with pytest.raises(UserError, match=r"kept holds restored images; choose another folder"):
        audit(inputs, discs / "kept", judges=judges)
    moved = make_restored(tmp_path / "moved", discs / "cohort")
    write_volume(moved / "test03.nii.gz", read_volume(moved / "test03.nii.gz").data[:-1], AFFINE)
    with pytest.raises(UserError, match=r"test03.* has shape 23×24×6, expected 24×24×6"):
        audit(from_cohort(moved, discs / "cohort"), tmp_path / "out", judges=judges)
    with pytest.raises(UserError, match=r"nowhere does not exist; expected a folder with recogniser.yaml"):
        audit(inputs, tmp_path / "out", judges=[tmp_path / "nowhere"])
    with pytest.raises(UserError, match=r"holds no restored test case"):
        from_cohort(make_restored(tmp_path / "val", discs / "cohort", splits=("val",)), discs / "cohort")
    assert not (tmp_path / "out").exists()


def test_an_audit_is_not_replaced_unasked(audited: Audit, discs: Path, judges: list[Judge]) -> None:
    inputs = from_cohort(discs / "kept", discs / "cohort")
    with pytest.raises(UserError, match=r"already holds an audit; say --overwrite"):
        audit(inputs, audited.page.parent, judges=judges)


def test_an_audit_without_its_marker_is_unfinished(discs: Path, judges: list[Judge], tmp_path: Path) -> None:
    inputs = from_cohort(discs / "kept", discs / "cohort")
    page = audit(inputs, tmp_path / "out", judges=judges[:1]).page
    content = page.read_bytes()
    (tmp_path / "out" / "audit.yaml").unlink()
    assert audit(inputs, tmp_path / "out", judges=judges[:1]).page.read_bytes() == content


class Ratio:
    """Reads a value: the mean of the rim over that of the core, in units of its own."""

    kind = "regression"

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        rim, core = (slices[:, mask[..., 0]].mean(axis=1) for mask in (RIM, CORE))
        return np.asarray(10 * rim / core, dtype=np.float32)


def test_a_judge_that_reads_a_value_is_compared_by_agreement_and_cannot_flip(discs: Path, tmp_path: Path) -> None:
    inputs = from_cohort(discs / "erased", discs / "cohort")
    done = audit(inputs, tmp_path / "audit", judges=[Judge("ratio", Ratio())], settings=AuditSettings(alpha=0.2))
    assert done.outcome.fit == ["ratio", "SUVR"]
    assert list(done.outcome.metrics) == ["SUVR"]
    found, suvr = (done.outcome.agreements[judge]["erased"] for judge in ("ratio", "SUVR"))
    assert found.bias.estimate == pytest.approx(10 * suvr.bias.estimate, rel=0.02)
    assert found.slope.estimate == pytest.approx(suvr.slope.estimate, abs=0.02)
    kinds = {m.calibration.target: m.calibration.kind for m in done.outcome.conformal.coverage}
    assert kinds == {"ratio": "interval", "SUVR": "interval"}
    assert sorted(done.outcome.flipped["flipped_by"].unique()) == ["SUVR"]
    bare = from_cohort(discs / "kept", _without_masks(discs, tmp_path))
    alone = audit(bare, tmp_path / "alone", judges=[Judge("ratio", Ratio())])
    assert alone.verdict.headline.startswith("The property is a value without a cut: there is no decision to flip")
    assert any(
        f.startswith("ratio (label) of the restored image against the clean one: bias −")
        for f in alone.verdict.findings
    )


def _without_masks(discs: Path, tmp_path: Path) -> Path:
    shutil.copytree(discs / "cohort", tmp_path / "bare")
    table = pd.read_csv(tmp_path / "bare/pairs.csv").drop(columns=["cortex", "reference"])
    table.to_csv(tmp_path / "bare/pairs.csv", index=False)
    return tmp_path / "bare"


def test_a_judge_of_another_kind_of_property_is_refused(discs: Path, folders: list[Path], tmp_path: Path) -> None:
    shutil.copytree(folders[0], tmp_path / "judge")
    card = read_yaml(tmp_path / "judge" / "recogniser.yaml")
    card["target"] = {**card["target"], "kind": "embedding", "labels": ["subject"]}
    write_yaml(tmp_path / "judge" / "recogniser.yaml", {**card, "outputs": 64})
    inputs = from_cohort(discs / "kept", discs / "cohort")
    with pytest.raises(UserError, match=r"kind embedding: an identity is .* verified between two"):
        audit(inputs, tmp_path / "out", judges=[tmp_path / "judge"])
