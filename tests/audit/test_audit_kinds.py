"""Every kind of property, from images to page: several cases a subject, judges that need no training."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasts import Classes, Labels, Masks, Value, make_contrasts, restore
from taskgan.audit.inputs import AuditSettings, from_cohort
from taskgan.audit.judges import Judge
from taskgan.audit.maps import same_contrast
from taskgan.audit.read import load_case
from taskgan.audit.run import Audit, audit
from taskgan.audit.verb import audit_passes
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.judges.properties import class_names
from taskgan.judges.read import LoadedCase
from taskgan.metrics.hallucination import sigma_of
from taskgan.recipe import Target

# s1 loses one contrast; s2 loses two, which is one subject all the same.
CHANGED = {"s1_bright": 1.5, "s2_bright": 1.5, "s2_grey": 1.1}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("contrasts")
    make_contrasts(root / "cohort")
    restore(root / "changed", root / "cohort", CHANGED)
    restore(root / "same", root / "cohort", {})
    return root


def run(place: Path, out: Path, name: str, reader: Any, **settings: Any) -> Audit:
    inputs = from_cohort(place / "changed", place / "cohort", against=[place / "same"])
    chosen = AuditSettings(**{"calibration": "none", "figures": 0, **settings})
    return audit(inputs, out, judges=[Judge(name, reader)], settings=chosen)


def table(done: Audit, name: str) -> list[dict[str, str]]:
    with (done.page.parent / "tables" / f"{name}.csv").open() as handle:
        return list(csv.DictReader(handle))


def test_classes_of_several_cases_a_subject(place: Path, tmp_path: Path) -> None:
    done = run(place, tmp_path / "a", "eye", Classes(), calibration="0.5", alpha=0.3, figures=1)
    found = done.outcome.metrics["eye"]["changed"]
    assert (found.flipped, found.subjects) == (2, 8)
    assert found.flips.estimate == found.error.estimate == 2 / 8  # the same count everywhere
    [flips, errors] = done.outcome.contrasts
    assert (flips.only_audited, flips.only_other, errors.only_audited) == (2, 0, 2)
    assert done.outcome.metrics["eye"]["same"].flipped == 0
    recalls = [done.outcome.outputs["eye"][name]["changed"].sensitivity.estimate for name in ("grey", "bright")]
    assert recalls == [7 / 8, 6 / 8]
    assert found.balanced_accuracy.estimate == pytest.approx((1 + 7 / 8 + 6 / 8) / 3)
    record = read_yaml(tmp_path / "a" / "audit.yaml")
    assert record["opinions"]["eye"]["changed"]["flipped"] == 2
    assert "unit is the subject" in record["unit"]
    assert record["headline"].startswith(
        "2 of 8 subjects changed class in the eyes of eye (25 % [3, 65]): "
        "bright to grey in 2 cases, grey to dark in 1 case"
    )
    assert {r["output"]: r["to_negative"] for r in table(done, "outputs") if r["image"] == "changed"} == {
        "dark": "0",
        "grey": "1",
        "bright": "2",
    }
    assert {r["case"] for r in table(done, "flipped-cases")} == set(CHANGED)
    [measured] = done.outcome.conformal.coverage
    assert [len(s) for s in measured.calibration.scores.values()] == [4, 4, 4]  # a case a subject and class
    assert 0 in measured.calibration.labels([1.0, 0.0, 0.0])
    assert measured.coverage.estimate > 0.7
    assert set(measured.by_label) == {0, 1, 2}
    assert (measured.calibration.subjects, measured.subjects) == (4, 4)
    page = done.page.read_text()
    assert "did the restoration change the class?" in page
    assert "Number of cases by the class on the clean image" in page
    assert "diagnosis" not in page
    assert "cut 0.5" not in page


def test_what_several_contrasts_are_made_of_has_no_opinion_of_its_own(place: Path, tmp_path: Path) -> None:
    with (place / "cohort" / "pairs.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:  # one acquisition for all contrasts of a subject
        row |= {key: str(place / "cohort" / row[key]) for key in ("clean", "rim_mask")}
        row["degraded"] = str(place / "cohort" / "low" / f"{row['subject']}_grey.nii.gz")
    write_pairs(tmp_path / "pairs.csv", rows)
    inputs = from_cohort(place / "changed", tmp_path / "pairs.csv")
    done = audit(
        inputs, tmp_path / "a", judges=[Judge("eye", Classes())], settings=AuditSettings(calibration="none", figures=0)
    )
    assert set(done.outcome.metrics["eye"]) == {"clean", "changed"}
    assert len(table(done, "opinions")) == 2
    assert done.outcome.metrics["eye"]["changed"].flipped == 2


def test_labels_that_nobody_can_read_do_not_count(place: Path, tmp_path: Path) -> None:
    done = run(place, tmp_path / "a", "eye", Labels())
    assert done.outcome.fitness["eye"].unread == ("odd",)
    found = done.outcome.metrics["eye"]["changed"]
    assert (found.flipped, found.subjects) == (1, 8)  # s2_grey went dark; bright to grey stays lit
    assert found.error.estimate == 1 / 8  # not 5/8: half of the odd numbers are missed, which is no reading
    assert [r["output"] for r in table(done, "outputs") if r["image"] == "same"] == ["lit", "odd"]
    assert any("where it does not count" in w for w in done.verdict.warnings)
    assert "1 of 8 subjects changed in at least one label" in done.verdict.headline
    assert done.outcome.flipped["eye_direction"].tolist() == ["lit positive to negative"]


def test_a_value_with_a_cut_is_decided_and_one_without_is_not(place: Path, tmp_path: Path) -> None:
    done = run(place, tmp_path / "a", "eye", Value(1.3))
    found = done.outcome.metrics["eye"]["changed"]
    assert (found.flipped, found.to_negative, found.subjects) == (1, 1, 8)
    assert done.outcome.contrasts[0].only_audited == 1
    assert done.verdict.headline.startswith("1 of 8 subjects crossed the cut of 1.3 in the eyes of eye")
    assert {r["judge"] for r in table(done, "agreement")} == {"eye"}
    page = done.page.read_text()
    assert "mean rim over the slices, cut 1.3" in page
    assert "learnt to read it (rim)" in page
    assert "The observer that is not learned" not in page
    bare = run(place, tmp_path / "b", "eye", Value(None))
    assert bare.outcome.metrics == {}
    assert bare.outcome.worst is None
    assert "there is no decision to flip" in bare.verdict.headline
    assert "bias −0.0" in bare.verdict.headline
    page = bare.page.read_text()
    assert "Bias, limits of agreement and slope are reported instead" in page
    assert "<strong>flip</strong>" not in page
    assert "Nothing is decided, so there is nothing for McNemar’s test to count." in page


def test_masks_are_compared_by_overlap_and_volume(place: Path, tmp_path: Path) -> None:
    gone = {"s1_bright": 0.2}
    restore(tmp_path / "gone", place / "cohort", gone)
    inputs = from_cohort(tmp_path / "gone", place / "cohort", against=[place / "same"])
    settings = AuditSettings(calibration="none")
    done = audit(inputs, tmp_path / "a", judges=[Judge("eye", Masks())], settings=settings)
    kept = done.outcome.overlaps["eye"]
    assert kept["same"].kept.estimate > 0.85
    assert kept["gone"].kept.estimate < kept["same"].kept.estimate
    assert done.outcome.agreements["eye"]["gone"].low < -0.5
    assert "finds its mask of the clean image again with a Dice of" in done.verdict.headline
    assert {r["judge"] for r in table(done, "overlap")} == {"eye"}
    assert len(done.outcome.flipped) == 0


def test_the_classes_are_called_by_the_column_that_names_them(place: Path) -> None:
    pairs = read_pairs(place / "cohort")
    assert class_names(Target(kind="multi_class", classes=3), pairs) == ("dark", "grey", "bright")
    assert class_names(Target(kind="multi_class", classes=2, labels=("odd",)), pairs) == ("class 0", "class 1")


def test_nobody_is_compared_with_himself(place: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(place / "changed")
    for other in (place / "changed", tmp_path / "link"):
        with pytest.raises(UserError, match=r"--against .* is the audited folder itself"):
            from_cohort(place / "changed", place / "cohort", against=[other])
    with pytest.raises(UserError, match=r"--against .* is named twice"):
        from_cohort(place / "changed", place / "cohort", against=[place / "same", place / "same"])


def test_other_tools_folders_hold_values_too(place: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("task: {kind: regression, labels: rim, cut: 1.3}\n")
    (tmp_path / "labels.csv").write_text("subject,rim\ns0_dark,1.1\ns1_bright,much\n")
    folders = {"degraded": place / "cohort/low", "clean": place / "cohort/clean"}
    with pytest.raises(UserError, match=r"row 3 \(s1_bright\) has rim 'much', expected a number"):
        audit_passes(
            place / "changed",
            None,
            tmp_path / "a",
            **folders,
            labels=tmp_path / "labels.csv",
            recipe=str(tmp_path / "recipe.yaml"),
        )


def test_an_input_of_another_contrast_contradicts_nothing(place: Path) -> None:
    pair = read_pairs(place / "cohort").rows[2]  # its rim is bright
    case = load_case(pair, from_cohort(place / "changed", place / "cohort"))
    sigma = sigma_of(case.source.voxel_size)
    bright = _with_input(case, 5 * case.images["input"])
    assert same_contrast(bright, sigma)  # a scale does not matter
    clean = case.images["clean"]
    other = np.where(clean > 0, 2 * clean.max() - clean, 0).astype(np.float32)
    assert not same_contrast(_with_input(case, other), sigma)


def _with_input(case: LoadedCase, image: NDArray[np.float32]) -> LoadedCase:
    return replace(case, volumes={**case.volumes, "input": replace(case.source, data=image)})
