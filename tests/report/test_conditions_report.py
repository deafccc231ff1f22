"""Reports of several contrasts: tables and figures for each, and no input row to compare with."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fake_contrasts import CONTRASTS, ContrastReader, confused, gridded, make_contrasts, restore_contrasts, soft
from taskgan.core.artefact import commit_more
from taskgan.core.errors import UserError
from taskgan.evaluate.run import evaluate
from taskgan.page.cells import Table
from taskgan.report.condition_figures import choose_subject, condition_rule, load_condition
from taskgan.report.condition_tables import NAMES, class_names, condition_tables
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.run import compare
from taskgan.report.verdict import report_verdict

METHODS = {"relaxometry": confused(3.0), "gan": gridded(9.0, 5.0), "task_gan": soft(0.5, 2.0)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Evaluations of three methods on six test subjects and two contrasts."""
    root = tmp_path_factory.mktemp("contrasts")
    cohort = make_contrasts(root / "cohort", test=6)
    readers = {"task": ContrastReader(), "judge": ContrastReader(20.0)}
    found = []
    for name, change in METHODS.items():
        restored = restore_contrasts(root / name / "restored", cohort, name, change)
        found.append(evaluate(restored, cohort, root / name / "evaluation", readers=readers))
    return found


@pytest.fixture(scope="module")
def comparison(folders: list[Path]) -> Comparison:
    return load_comparison(folders)


def table_of(comparison: Comparison, name: str) -> Table:
    return next(table for table in condition_tables(comparison) if table.name == name)


def column(table: Table, key: str) -> list[str]:
    place = [c.key for c in table.columns].index(key)
    return [row[place].text for row in table.rows]


def test_without_an_input_there_is_still_a_baseline(folders: list[Path]) -> None:
    found = load_comparison(folders)
    assert found.references == ()
    assert (found.methods, found.baseline, found.focus) == (("relaxometry", "gan", "task_gan"), "gan", "task_gan")
    assert load_comparison([folders[0], folders[2]]).baseline == "relaxometry"
    with pytest.raises(UserError, match="no evaluation of the baseline 'input'; there are relaxometry, gan, task_gan$"):
        load_comparison(folders, "input")


def test_one_method_alone_has_a_report_too(folders: list[Path], tmp_path: Path) -> None:
    page = compare(folders[:1], tmp_path / "report").read_text(encoding="utf-8")
    assert "Relaxometry alone: there is nothing to compare it with." in page
    assert "PSNR over the degraded input" not in page


def test_every_contrast_has_its_rows(comparison: Comparison) -> None:
    assert comparison.condition == "contrast"
    assert tuple(comparison.conditions) == CONTRASTS
    assert [table.name for table in condition_tables(comparison)] == list(NAMES)
    quality = table_of(comparison, "conditions-quality")
    assert column(quality, "contrast") == [c for c in CONTRASTS for _ in METHODS]
    part = comparison.conditions["T1w"].rows("gan")
    assert column(quality, "psnr_head")[1] == f"{part['psnr_head'].mean():.2f}"
    # The baseline has no difference to itself, the others have.
    gaps = column(quality, "psnr_head_difference")
    assert [gap == "–" for gap in gaps] == [False, True, False] * 2
    assert gaps[2].startswith("▲")


def test_artefacts_are_marked_where_they_were_made(comparison: Comparison) -> None:
    table = table_of(comparison, "conditions-artefacts")
    keys = [c.key for c in table.columns]
    tones = {
        (row[0].text, row[1].text): (row[keys.index("rim_error")], row[keys.index("checkerboard_error")])
        for row in table.rows
    }
    rim, _ = tones["T2-FLAIR", "Relaxometry"]
    assert rim.tone == "worse"
    assert rim.text.startswith("+")
    for contrast in CONTRASTS:
        _, grid = tones[contrast, "GAN"]
        assert grid.tone == "worse"
        assert grid.text.startswith("+")
        assert tones[contrast, "Clean"][0].text == "–"


def test_lost_and_invented_lesions_are_in_the_table(comparison: Comparison) -> None:
    table = table_of(comparison, "conditions-lesions")
    named = {(row[0].text, row[1].text): row for row in table.rows}
    keys = [c.key for c in table.columns]
    false, found = keys.index("lesions_false"), keys.index("lesions_found")
    value = named["T2-FLAIR", "GAN"][false].value.estimate  # type: ignore[union-attr]
    assert value >= named["T2-FLAIR", "Clean"][false].value.estimate + 0.5  # type: ignore[union-attr]
    assert "1 false lesions an image" in table.note
    # Five of six subjects have lesions.
    assert named["T1w", "Clean"][found].text.endswith("/20")


def test_wrong_contrasts_are_named(comparison: Comparison) -> None:
    assert class_names(comparison) == {0.0: "T1w", 1.0: "T2-FLAIR"}
    frame = comparison.frame.copy()
    gan = frame["method"] == "gan"
    frame.loc[gan, "judge_decision"] = frame.loc[gan, "label"]
    hit = gan & (frame["case"].isin(["sub-01_T1w", "sub-02_T1w"]))
    frame.loc[hit, "judge_decision"] = 1.0
    table = table_of(replace(comparison, frame=frame), "conditions-read")
    row = next(r for r in table.rows if (r[0].text[:5], r[1].text) == ("Judge", "GAN"))
    place = [c.key for c in table.columns].index("T1w")
    assert (row[place].text, row[place].aside) == ("4/6", "2 as T2-FLAIR")
    assert row[place].tone == "worse"
    assert row[place - 1].text == "10/12"
    # Where a class is not a condition, nothing is called by its name.
    frame["label"] = (frame["subject"] == "sub-01").astype(float)
    assert class_names(replace(comparison, frame=frame)) == {}


def test_the_verdict_speaks_of_every_contrast(comparison: Comparison) -> None:
    told = report_verdict(comparison)
    assert told.compared == (
        "Compared: Relaxometry, GAN and Task-GAN on 6 test subjects, 12 cases, training seed 0; baseline GAN."
    )
    words = " ".join(told.findings)
    assert "PSNR inside the head, Task-GAN against GAN: better in T1w (" in words
    assert "A rim at CSF that is brighter than the true one: Relaxometry in T2-FLAIR (" in words
    grid = next(finding for finding in told.findings if finding.startswith("A pixel grid: "))
    assert "GAN in T1w (+" in grid
    assert "degraded input" not in words


def test_the_subject_of_the_figures_is_picked_by_rule(comparison: Comparison) -> None:
    chosen = choose_subject(comparison)
    frame = comparison.frame
    mean = {m: frame[frame["method"] == m].groupby("subject")["psnr"].mean() for m in ("task_gan", "gan")}
    gap = (mean["task_gan"] - mean["gan"]).drop("sub-06").sort_values()  # the last one has no lesion
    assert chosen == gap.index[2]
    assert "median one among those with lesions" in condition_rule(comparison)
    found = load_condition(comparison.conditions["T1w"], str(chosen))
    assert found is not None
    assert list(found.images) == ["clean", "relaxometry", "gan", "task_gan"]
    assert set(found.spectra) == set(found.images)
    lesion = found.images["clean"][found.window]
    assert lesion.min() < 92 < np.median(lesion)  # dark on T1w
    assert found.lesions is not None
    assert found.images["clean"][found.lesions].max() < np.median(lesion)


def test_one_contrast_with_lesions_is_shown_at_a_lesion_too(folders: list[Path], tmp_path: Path) -> None:
    alone = []
    for folder in folders:
        copy = Path(shutil.copytree(folder, tmp_path / folder.parent.name / "evaluation"))
        table = pd.read_csv(copy / "cases.csv", dtype=str, keep_default_na=False)
        table = table[table["condition"] == "T1w"].assign(condition="")
        for name in ("degraded", "clean", "restored", "brain", "lesions"):
            table[name] = [str((folder / path).resolve()) for path in table[name]]
        table.to_csv(copy / "cases.csv", index=False)
        commit_more(copy / "evaluation.yaml", [copy / "cases.csv"])
        alone.append(copy)
    comparison = load_comparison(alone)
    assert not comparison.conditions
    assert list(comparison.pictured) == [""]
    subject = choose_subject(comparison)
    page = compare(alone, tmp_path / "report").read_text(encoding="utf-8")
    assert (tmp_path / "report" / "figures" / f"figure3-{subject}.png").is_file()
    assert "Detail: around the largest lesion of that slice, outlined in the clean image." in page
    assert "Inverse grey" not in page
    assert not replace(comparison, frame=comparison.frame.assign(lesions_true=np.nan)).pictured


@pytest.fixture(scope="module")
def page(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compare(folders, tmp_path_factory.mktemp("compared") / "report")


def test_the_page_has_a_figure_a_contrast_and_says_nothing_of_uptake(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    figures = sorted(p.name for p in (page.parent / "figures").glob("figure3-*.png"))
    assert figures == ["figure3-T1w.png", "figure3-T2-FLAIR.png"]
    assert (page.parent / "figures" / "conditions.png").is_file()
    assert {f"{name}.csv" for name in NAMES} <= {p.name for p in (page.parent / "tables").iterdir()}
    assert 'id="conditions"' in text
    assert "Composite SUVR" not in text
    assert "Inverse grey" not in text
    assert "Is the property kept?" in text
    with (page.parent / "tables" / "conditions-paired.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["contrast"] for row in rows] == ["T1w", "T1w", "T2-FLAIR", "T2-FLAIR"]
    assert float(rows[1]["checkerboard_error"]) < 0


def test_figures_of_images_that_are_gone_are_left_out(comparison: Comparison) -> None:
    part = comparison.conditions["T1w"]
    frame: pd.DataFrame = part.frame.assign(restored="gone.nii.gz")
    assert load_condition(replace(part, frame=frame), "sub-01") is None
