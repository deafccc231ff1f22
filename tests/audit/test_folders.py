import csv
import shutil
from pathlib import Path

import pytest

from discs import RECIPE, make_discs, make_restored
from taskgan.audit.folders import from_folders
from taskgan.audit.inputs import AuditSettings
from taskgan.audit.judges import train_judges
from taskgan.audit.run import audit
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Problems, UserError


def write_labels(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def foreign(discs: Path, tmp_path: Path) -> Path:
    """What another tool leaves: three folders with names of its own, and a table of labels."""
    pairs = read_pairs(discs / "cohort")
    for folder in ("low", "full", "tool"):
        (tmp_path / folder).mkdir()
    for pair in pairs:
        assert pair.clean is not None
        shutil.copy(pair.degraded, tmp_path / "low" / f"{pair.subject}_pet.nii.gz")
        shutil.copy(pair.clean, tmp_path / "full" / f"{pair.subject}.nii.gz")
    for image in (discs / "erased").glob("test*.nii.gz"):
        shutil.copy(image, tmp_path / "tool" / image.name.replace(".nii.gz", "_denoised.nii.gz"))
    rows: list[dict[str, object]] = [{"subject": p.subject, "label": f"{p.label:g}", "split": p.split} for p in pairs]
    write_labels(tmp_path / "labels.csv", rows)
    return tmp_path


def of(place: Path, **changed: Path) -> dict[str, Path]:
    names = {"restored": "tool", "degraded": "low", "clean": "full", "labels": "labels.csv"}
    return {k: place / v for k, v in names.items()} | changed


def test_three_folders_and_a_table_are_audited_end_to_end(foreign: Path, discs: Path) -> None:
    (foreign / "tool" / "stranger.nii.gz").write_bytes(b"")
    inputs = from_folders(**of(foreign), recipe=RECIPE)
    assert inputs.audited.method == "tool"
    assert len(inputs.cases) == 12
    assert any("1 images in" in n and "stranger.nii.gz" in n for n in inputs.notes)
    done = audit(inputs, foreign / "audit", store=foreign / "judges", settings=AuditSettings(figures=0))
    assert done.verdict.headline.startswith("3 of 12 patients changed diagnosis in the eyes of convnet-1000")
    assert sorted(done.outcome.flipped["case"]) == ["test01", "test05", "test09"]
    assert done.outcome.agreements == {}


def test_judges_of_another_cohort_need_no_training_rows(foreign: Path, folders: list[Path], tmp_path: Path) -> None:
    with (foreign / "labels.csv").open() as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "test"]
    labels = write_labels(foreign / "test.csv", [{"subject": r["subject"], "label": r["label"]} for r in rows])
    inputs = from_folders(**of(foreign, labels=labels), method="NLM")
    assert any("images in" in n and "belong to no subject" in n for n in inputs.notes)
    done = audit(inputs, tmp_path / "audit", judges=folders, settings=AuditSettings(figures=0))
    assert done.outcome.metrics["resnet10-1001"]["NLM"].flipped == 3
    with pytest.raises(UserError, match=r"test\.csv: the training rows do not hold both labels.*--judge FOLDER"):
        train_judges(inputs, tmp_path / "store")


def test_doses_match_by_name_and_share_their_clean_image(tmp_path: Path) -> None:
    cohort = make_discs(tmp_path / "c", train=0, val=0, test=2)
    restored = make_restored(tmp_path / "r", cohort, told=False)
    for dose in (1, 5):
        shutil.copy(cohort / "low/test00.nii.gz", cohort / f"low/test00_dose-{dose}.nii.gz")
        shutil.copy(restored / "test00.nii.gz", restored / f"test00_dose-{dose}.nii.gz")
    (cohort / "low/test00.nii.gz").unlink()
    (restored / "test00.nii.gz").unlink()
    labels = write_labels(tmp_path / "l.csv", [{"subject": "test00", "label": 0}, {"subject": "test01", "label": 1}])
    inputs = from_folders(restored, cohort / "low", cohort / "clean", labels)
    assert [p.case for p in inputs.cases] == ["test00_dose-1", "test00_dose-5", "test01"]
    assert {p.case: r.name for p, r in zip(inputs.cases, inputs.audited.images.values(), strict=True)} == {
        "test00_dose-1": "test00_dose-1.nii.gz",
        "test00_dose-5": "test00_dose-5.nii.gz",
        "test01": "test01.nii.gz",
    }


def test_misuse_is_a_sentence(foreign: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist; expected a folder of NIfTI images"):
        from_folders(**of(foreign, clean=foreign / "nowhere"))
    (foreign / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no NIfTI image"):
        from_folders(**of(foreign, restored=foreign / "empty"))
    with pytest.raises(UserError, match=r"lacks the column label; found subject"):
        from_folders(**of(foreign, labels=write_labels(foreign / "a.csv", [{"subject": "x"}])))
    (foreign / "semicolons.csv").write_text("subject;label\ntest00;0\n")
    with pytest.raises(UserError, match=r"found subject;label, expected .* label, separated by commas"):
        from_folders(**of(foreign, labels=foreign / "semicolons.csv"))
    (foreign / "header.csv").write_text("subject,label\n")
    with pytest.raises(UserError, match=r"has a header but no rows"):
        from_folders(**of(foreign, labels=foreign / "header.csv"))
    bad = [{"subject": "test00", "label": 2}, {"subject": "test00", "label": 0}, {"subject": "", "label": "x"}]
    with pytest.raises(Problems, match=r"(?s)label '2', expected 0 or 1.*repeats the subject test00.*has no subject"):
        from_folders(**of(foreign, labels=write_labels(foreign / "b.csv", bad)))
    other = write_labels(foreign / "c.csv", [{"subject": "nobody", "label": 1}])
    with pytest.raises(UserError, match=r"no subject of .*c\.csv has both a degraded and a clean image"):
        from_folders(**of(foreign, labels=other))
