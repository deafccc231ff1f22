"""Measures by group, and precision without a gold standard, on tables that are written here."""

from pathlib import Path

import numpy as np
import pytest

from made_up_cases import case, evaluation
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.run import compare
from taskgan.report.strata import parse_bounds, precision_table, strata_table, stratified

SUBJECTS = [f"sub-{k:02d}" for k in range(14)]
HEAD = {subject: "a" if k < 7 else "b" for k, subject in enumerate(SUBJECTS)}


def groups(folder: Path) -> Comparison:
    """Heads "a" lose 3 dB and gain .05 of SUVR error under Task-GAN, against heads "b"; a table of pairs beside."""
    rows = []
    for k, subject in enumerate(SUBJECTS):
        hard = HEAD[subject] == "a"
        clean = 1.2 + 0.05 * k
        more = {"dose": 1.0 if k % 2 else 5.0}
        rows.append(case(subject, "clean", clean, clean, **more))
        rows.append(case(subject, "gan", clean, clean, **more))
        rows.append(case(subject, "task_gan", clean + 0.05 * hard, clean, **{**more, "psnr": 30.0 - 3 * hard}))
    table = folder.parent / "pairs.csv"
    table.write_text("case,anatomy,note\n" + "".join(f"{s},{HEAD[s]},{s}\n" for s in SUBJECTS))
    return load_comparison([evaluation(folder, rows, table="../pairs.csv")])


def test_every_measure_by_group_and_the_worst_named(tmp_path: Path) -> None:
    comparison = groups(tmp_path / "e")
    table, sentence = strata_table(comparison, stratified(comparison, ["anatomy", "dose"]))
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, row, strict=True)) for row in table.rows]
    ours = {r["group"].text: r for r in rows if r["column"].text == "anatomy" and r["method"].text == "Task-GAN"}
    assert list(ours) == ["a", "b", "worst"]
    assert ours["a"]["subjects"].value == ours["b"]["subjects"].value == 7
    assert [ours[k]["psnr"].value.estimate for k in "ab"] == pytest.approx([27.0, 30.0])
    assert [ours[k]["suvr_error"].value.estimate for k in "ab"] == pytest.approx([0.05, 0.0])
    assert (ours["worst"]["psnr"].text, ours["worst"]["suvr_error"].text) == ("a", "a")
    assert [r["group"].text for r in rows if r["column"].text == "dose"] == 2 * ["1", "5", "worst"]
    assert "Worst of 4 groups, by Task-GAN: PSNR at anatomy a (27.00 dB [27.00, 27.00])" in sentence


def test_a_column_that_is_no_group_is_refused(tmp_path: Path) -> None:
    comparison = groups(tmp_path / "e")
    with pytest.raises(UserError, match=r"pairs\.csv lacks the column age"):
        stratified(comparison, ["age"])
    comparison.evaluations[0].record.pop("table")
    with pytest.raises(UserError, match="does not name its cohort's table"):
        stratified(comparison, ["anatomy"])
    with pytest.raises(UserError, match="--strata repeat: found 0 values, expected 1 to 20 groups"):
        stratified(comparison, ["repeat"])


def test_the_most_precise_method_comes_first_without_the_truth(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = {"gan": 0.05, "l1": 0.2, "task_gan": 0.02}
    rows = []
    for k in range(60):
        truth = rng.uniform(1.0, 2.2)
        rows += [case(f"s{k}", name, truth + spread * rng.normal(), truth) for name, spread in noise.items()]
    table = precision_table(load_comparison([evaluation(tmp_path / "e", rows)]), (1.0, 2.2))
    assert [row[0].text for row in table.rows] == ["Task-GAN", "GAN", "L1 only"]
    keys = [column.key for column in table.columns]
    first, _, last = (dict(zip(keys, (cell.value for cell in row), strict=True)) for row in table.rows)
    assert last["noise"].low < 0.2 < last["noise"].high
    assert (first["rank"].estimate, last["rank"].low, last["rank"].high) == (1.0, 3.0, 3.0)
    assert first["precision"].high < last["precision"].low
    assert last["ratio"].estimate == 1.0  # L1 stands first among the methods
    assert "independent" in table.note


def test_two_methods_are_too_few_and_bounds_increase(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found 2 methods with a SUVR, 14 subjects"):
        precision_table(groups(tmp_path / "e"), (1.0, 2.2))
    assert parse_bounds("1.0,2.2") == (1.0, 2.2)
    for wrong in ("1.0", "2,1", "a,b", "1,inf", "1,2,3"):
        with pytest.raises(UserError, match="expected LOW,HIGH"):
            parse_bounds(wrong)


def test_the_page_has_what_was_asked_for_and_the_call_that_makes_it(tmp_path: Path) -> None:
    comparison = groups(tmp_path / "e")
    rows = comparison.frame.to_dict("records")
    rows += [{**row, "method": "l1"} for row in rows if row["method"] == "gan"]
    folder = evaluation(tmp_path / "three", rows, table="../pairs.csv")
    page = compare([folder], tmp_path / "out", strata=["anatomy", "dose"], precision=(1.0, 2.2)).read_text()
    assert "By group" in page
    assert "Precision without a gold standard" in page
    assert "Linearity over dose" in page
    assert "--strata anatomy,dose --precision 1,2.2" in page
    assert any(one.startswith("Worst of 4 groups") for one in read_yaml(tmp_path / "out" / "report.yaml")["findings"])
