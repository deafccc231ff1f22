"""A study folder: what is in it is balanced, equal in size, and refused where it cannot be."""

import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from drawn_faces import draw_cohort
from fake_cohort import blur, make_cohort, make_restorations
from small_study import answer_all, small_study
from taskgan.core.errors import UserError
from taskgan.images.volumes import write_volume
from taskgan.readers.make import make_study
from taskgan.readers.study import Question, StudyPlan, read_form, read_study


def test_all_images_of_a_case_have_one_size_scale_and_window(study: Path) -> None:
    read = read_study(study, images=True)
    assert read.record.methods == ("input", "soft", "pulled", "clean")
    for case in {one.case for one in read.images.values()}:
        mine = [one for one in read.images.values() if one.case == case]
        assert len({one.model_dump_json(exclude={"image", "method"}) for one in mine}) == 1
        assert len({(study / "images" / one.image).stat().st_size for one in mine}) == 1
    assert len({name.rpartition("_")[0] for name in read.images}) == 1  # numbers alone


def test_numbers_of_images_do_not_follow_the_methods(study: Path) -> None:
    images = sorted(read_study(study).images.values(), key=lambda one: one.image)
    runs = sum(a.case != b.case for a, b in pairwise(images))
    assert runs > len(images) / 2


def test_a_stored_image_is_the_image(study: Path) -> None:
    from taskgan.images.volumes import read_volume

    read = read_study(study)
    one = next(i for i in read.images.values() if i.method == "clean" and i.case == "sub-01")
    stored = np.fromfile(study / "images" / one.image, "<u2").reshape(one.shape[::-1]).transpose(2, 1, 0)
    clean = read_volume(study.parent / "cohort" / "sub-01" / "clean.nii.gz").data
    assert np.corrcoef(stored.ravel(), clean.ravel())[0, 1] > 0.999


def test_who_can_read_the_key_of_links(study: Path) -> None:
    assert (study / ".secret").stat().st_mode & 0o077 == 0


def test_a_split_plot_gives_groups_cases_of_their_own(tmp_path: Path) -> None:
    folder = small_study(tmp_path, design="split-plot", readers=("a", "b", "c", "d"), groups=2)
    read = read_study(folder)
    cases = {r: {read.images[s.image].case for s in read.of_reader(r) if not s.training} for r in read.record.readers}
    assert cases["a"] == cases["c"]
    assert cases["b"] == cases["d"]
    assert not cases["a"] & cases["b"]


def test_a_limit_of_cases_keeps_both_kinds(tmp_path: Path) -> None:
    read = read_study(small_study(tmp_path, cases=4, training=0))
    truths = {one.case: one.truth for one in read.images.values()}
    assert Counter(truths.values()) == {0: 2, 1: 2}


def test_the_same_call_is_done_and_answers_are_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = small_study(tmp_path)
    before = (folder / "order.csv").read_bytes()
    assert make_study(folder, tmp_path / "cohort", [str(tmp_path / n) for n in ("soft", "pulled")],
                      StudyPlan(washout_days=0.0)) == folder  # fmt: skip
    assert "already done" in capsys.readouterr().out
    answer_all(folder, most=1)
    with pytest.raises(UserError, match="holds answers of readers, which are never replaced"):
        make_study(folder, tmp_path / "cohort", [], StudyPlan(seed=5), overwrite=True)
    assert (folder / "order.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("restored", "plan", "sentence"),
    [
        (["nowhere*"], {}, "finds no folder"),
        (["plain"], {}, "say --from METHOD="),
        (["odd=odd"], {}, r"grid \(10, 10, 10\) of odd"),
        ([], {"form": "no-such"}, "expected a YAML file or one of amyloid, faces, lesions"),
        ([], {"form": "faces"}, "holds no verification.csv"),
        ([], {"form": "dose.yaml"}, "row 2 has dose '1.5', expected the truth, 0 or 1"),
    ],
)
def test_what_makes_no_study_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: list[str], plan: dict[str, str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    cohort = make_cohort(tmp_path / "cohort", test=4, doses=(1.5,))
    make_restorations(tmp_path / "plain", cohort, "plain", blur(1.0), described=False)
    for number in range(1, 5):
        write_volume(tmp_path / "odd" / f"sub-{number:02d}.nii.gz", np.zeros((10, 10, 10), np.float32), np.eye(4))
    Path("dose.yaml").write_text("title: t\ntruth: dose\nquestions: [{id: a, type: decision, text: b}]\n")
    with pytest.raises(UserError, match=sentence):
        make_study(tmp_path / "study", cohort, restored, StudyPlan(**plan))
    assert not (tmp_path / "study" / "study.yaml").exists()


def test_two_faces_stand_side_by_side(tmp_path: Path) -> None:
    cohort = draw_cohort(tmp_path / "faces")
    with (cohort / "pairs.csv").open() as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "test"]
    table = ["set,first,second,same"]
    for one in rows[:6]:
        for other in rows[:6]:
            if one["case"] < other["case"]:
                same = int(one["subject"] == other["subject"])
                table.append(f"test,{one['case']},{other['case']},{same}")
    (cohort / "verification.csv").write_text("\n".join(table) + "\n")
    read = read_study(make_study(tmp_path / "study", cohort, [], StudyPlan(form="faces", cases=4)))
    image = next(iter(read.images.values()))
    assert image.z == 1
    assert image.bits == "8"
    assert image.x > 1.9 * image.y


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("decision", {"decision": 1, "confidence": 5}, {"decision": 1, "confidence": 6}),
        ("decision", {"decision": 0, "confidence": 1}, {"decision": True, "confidence": 1}),
        ("likert", 5, 0),
        ("choices", ["x"], [["x"]]),
        ("text", "a", "a" * 2001),
        ("marks", [[0, 1, 2]], [[0, 1, 3]]),
        ("marks", [], [[0, 1]]),
    ],
)
def test_an_answer_fits_its_question(kind: str, good: object, bad: object) -> None:
    question = Question.model_validate({"id": "a", "type": kind, "text": "b", "options": ["x"]})
    assert question.accepts(good, (2, 3, 3))
    assert not question.accepts(bad, (2, 3, 3))
    assert not question.accepts(None, (2, 3, 3))


@pytest.mark.parametrize("name", ["amyloid", "faces", "lesions"])
def test_shipped_forms_are_forms(name: str) -> None:
    assert len(read_form(name).of_type("decision")) == 1
