from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fake_cohort import StubReader, make_restorations, shrink
from taskgan.core.files import read_yaml, write_yaml
from taskgan.evaluate.run import evaluate
from taskgan.page.cells import Table
from taskgan.report.agreement import flips_table, suvr_table
from taskgan.report.comparisons import comparisons_table
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.metrics import parse_inference
from taskgan.report.tables import all_tables
from taskgan.report.verdict import report_verdict
from taskgan.stats import Interval, calibration_line


@pytest.fixture
def comparison(evaluations: list[Path]) -> Comparison:
    return load_comparison(evaluations)


@pytest.fixture
def tables(comparison: Comparison) -> dict[str, Table]:
    return {table.name: table for table in all_tables(comparison)}


def column(table: Table, key: str) -> int:
    return [c.key for c in table.columns].index(key)


def test_every_table_is_rectangular(tables: dict[str, Table]) -> None:
    assert list(tables) == [
        "table2-quality-frame",
        "table2-quality-head",
        "table2-paired",
        "table3-readers",
        "table3-paired",
        "suvr",
        "comparisons",
    ]
    for table in tables.values():
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_table_2_holds_the_mean_over_subjects(comparison: Comparison, tables: dict[str, Table]) -> None:
    table = tables["table2-quality-frame"]
    row = next(r for r in table.rows if r[0].text == "GAN")
    cell = row[column(table, "psnr")]
    assert isinstance(cell.value, Interval)
    assert cell.value.estimate == pytest.approx(comparison.rows("gan")["psnr"].mean())
    assert row[column(table, "seeds")].value == 2
    assert row[column(table, "subjects")].value == 8
    assert row[column(table, "paper")].text == "28.49 / 0.945 / 0.156"


def test_differences_go_to_the_baseline_and_to_the_input_with_the_papers_beside(tables: dict[str, Table]) -> None:
    table = tables["table2-paired"]
    assert [row[0].text for row in table.rows] == [
        "L1 only − GAN",
        "Task-GAN − GAN",
        "L1 only − Input",
        "GAN − Input",
        "Task-GAN − Input",
    ]
    cell = table.rows[1][column(table, "psnr")]
    assert (cell.tone, cell.aside) == ("better", "paper +1.50")
    assert table.rows[0][column(table, "psnr")].tone == "worse"


def test_table_3_has_every_reader_on_every_image_and_always_negative(tables: dict[str, Table]) -> None:
    table = tables["table3-readers"]
    assert len(table.rows) == 3 * 5 + 1
    assert [row[1].text for row in table.rows[:5]] == ["Clean", "Input", "L1 only", "GAN", "Task-GAN"]
    last = table.rows[-1]
    assert last[1].text == "always “negative”"
    assert last[column(table, "error")].text == "3/8"
    suvr_clean = table.rows[10]
    assert suvr_clean[0].text.startswith("SUVR")
    assert suvr_clean[column(table, "error")].text == "0/8"
    assert suvr_clean[column(table, "mae")].text == "–"


def test_the_slope_of_a_shrinking_method_is_marked(tables: dict[str, Table]) -> None:
    table = tables["suvr"]
    gan = next(r for r in table.rows if r[0].text == "GAN")[column(table, "slope")]
    assert isinstance(gan.value, Interval)
    assert gan.value.estimate == pytest.approx(0.6, abs=0.05)
    assert gan.tone == "worse"
    assert table.rows[0][0].text == "Clean"
    assert table.rows[0][column(table, "true")].text in ("+0.000", "−0.000")


def test_what_a_cohort_does_not_give_is_left_out(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame.loc[:, [c for c in frame if "suvr" in c or "_head" in c or c.endswith(("_decision", "_mae"))]] = float("nan")
    tables = {t.name: t for t in all_tables(replace(comparison, frame=frame))}
    assert not tables["suvr"].rows
    assert not tables["table3-readers"].rows
    assert not tables["table2-quality-head"].rows
    assert tables["table2-quality-frame"].rows


def test_flips_are_listed_with_both_opinions(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    for name in ("suvr", "task", "judge"):
        frame[f"{name}_decision"] = frame["label"]
    hit = (frame["method"] == "gan") & (frame["case"] == "sub-02") & (frame["seed"] == 1)
    frame.loc[hit, ["suvr_decision", "suvr_restored"]] = [0.0, 1.31]
    table = flips_table(replace(comparison, frame=frame))
    assert len(table.rows) == 1
    case, method, seed, label, suvr, task, _ = table.rows[0]
    assert (case.text, method.text, seed.text, label.text) == ("sub-02", "GAN", "1", "positive")
    assert suvr.text.endswith("→ 1.31")
    assert (suvr.small, suvr.tone) == ("positive → negative", "worse")
    assert (task.small, task.tone) == ("positive", "none")


def test_a_small_p_is_not_shown_as_zero(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame["judge_decision"] = frame["label"]
    wrong = frame["method"] == "task_gan"
    frame.loc[wrong, "judge_decision"] = 1 - frame["label"]
    table = next(t for t in all_tables(replace(comparison, frame=frame)) if t.name == "table3-paired")
    cell = next(r for r in table.rows if r[0].text == "Task-GAN − GAN")[column(table, "mcnemar_judge")]
    assert (cell.text, cell.small, cell.value) == ("8 : 0", "p = 0.008", pytest.approx(2 * 0.5**8))


def test_a_calibration_line_has_rows_of_its_own(fake_runs: Path, tmp_path: Path) -> None:
    cohort = fake_runs / "cohort"
    restored = make_restorations(tmp_path / "restored", cohort, "gan", shrink(0.6, 0.02))
    line = calibration_line([1.0, 1.2, 1.3, 1.4, 1.5, 1.7], [1.14, 1.26, 1.32, 1.38, 1.44, 1.56], "abcdef")
    assert line is not None
    record = read_yaml(restored / "restored.yaml")
    write_yaml(restored / "restored.yaml", record | {"calibration": asdict(line)})
    readers = {"judge": StubReader()}
    found = load_comparison([evaluate(restored, cohort, tmp_path / "evaluation", readers=readers)], None)
    table = suvr_table(found)
    assert [row[0].text for row in table.rows] == ["Clean", "Input", "GAN", "GAN, after its line"]
    raw, after = (dict(zip((c.key for c in table.columns), row, strict=True)) for row in table.rows[2:])
    assert raw["slope"].value.estimate == pytest.approx(0.6, abs=0.05)
    assert raw["slope"].tone == "worse"
    assert after["slope"].value.estimate == pytest.approx(1.0, abs=0.08)
    assert after["correlation"].value.estimate == pytest.approx(raw["correlation"].value.estimate)
    assert after["centiloids"].value == pytest.approx(1.96 * 153.4 * after["deviation"].value, rel=1e-4)
    assert after["wrong"].value <= raw["wrong"].value
    assert any("then" in text and "validation subjects" in text for text in report_verdict(found).findings)


def test_methods_are_compared_after_their_lines(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    for method, off in (("gan", 0.05), ("task_gan", 0.02)):
        mine = frame["method"] == method
        frame.loc[mine, "suvr_calibrated_error"] = [off * (-1) ** k for k in range(mine.sum())]
    told = replace(comparison, frame=frame, inference=parse_inference(["suvr_calibrated=qiba"]))
    rows = [row for row in comparisons_table(told).rows if row[0].text == "|SUVR error|, after its line"]
    assert [row[1].text for row in rows] == ["Task-GAN − GAN"]
    assert rows[0][2].value.estimate == pytest.approx(-0.03)
