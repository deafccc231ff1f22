import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_faces import few_draws, make_faces, write_pairs
from taskgan.core.errors import UserError
from taskgan.metrics.roc import roc_curve
from taskgan.page.cells import Table, write_table
from taskgan.report.charts import mean_curve
from taskgan.report.comparisons import equivalence_word
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.metrics import parse_inference
from taskgan.report.photo_figures import choose_examples, example_caption
from taskgan.report.study import VerificationStudy, study_findings, study_warnings, verification_study
from taskgan.report.study_tables import study_tables
from taskgan.report.verdict import report_verdict
from taskgan.report.verified import BOTH, PROBE, VerificationData

RUNS = tuple((method, seed) for method in ("gan", "task_gan", "task_gan_25d") for seed in (0, 1, 2))


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with few_draws():
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_faces(tmp_path_factory.mktemp("faces"), RUNS, people=30, size=16)


@pytest.fixture(scope="module")
def comparison(folders: list[Path]) -> Comparison:
    return load_comparison(folders)


@pytest.fixture(scope="module")
def found(comparison: Comparison) -> VerificationStudy:
    result = verification_study(comparison)
    assert result is not None
    return result


@pytest.fixture(scope="module")
def tables(comparison: Comparison, found: VerificationStudy) -> dict[str, Table]:
    return {table.name: table for table in study_tables(comparison, found)}


def test_figures_are_means_over_the_seeds(found: VerificationStudy) -> None:
    level = found.levels["judge", "gan", BOTH]
    values, same = found.data.distances["judge", "gan", BOTH], found.data.pairs.same
    by_hand = [
        np.mean([a < b for a in one[same] for b in one[~same]])  # no ties among real numbers
        for one in values
    ]
    assert level.auc_by_seed == pytest.approx(by_hand)
    assert level.verification.auc_by_person.estimate == pytest.approx(np.mean(by_hand))
    assert level.accuracy["train"].estimate > 0.5
    assert found.levels["judge", "clean", PROBE] is found.levels["judge", "clean", BOTH]


def test_differences_are_paired_and_corrected_over_the_methods(found: VerificationStudy) -> None:
    changes = found.differences["judge", BOTH, "gan"]
    assert set(changes) == {"task_gan", "task_gan_25d"}
    one = changes["task_gan"].auc
    areas = [found.levels["judge", m, BOTH].verification.auc_by_person.estimate for m in ("task_gan", "gan")]
    assert one.interval.estimate == pytest.approx(areas[0] - areas[1])
    assert one.p >= one.difference.p
    assert one.seeds == 3
    assert one.crossed.estimate == pytest.approx(one.interval.estimate)
    assert one.crossed.high - one.crossed.low > one.interval.high - one.interval.low
    assert set(found.differences["judge", PROBE, "input"]) == {"gan", "task_gan", "task_gan_25d"}


def test_t_and_readers_that_know_nobody_are_no_judges(found: VerificationStudy) -> None:
    assert found.judges == ("judge", "lbp", "eigenfaces")
    assert found.valid_judges == ("judge", "lbp")
    assert found.identifies("task")


def test_tables_mark_who_is_no_judge_and_hold_both_intervals(
    tables: dict[str, Table], found: VerificationStudy, tmp_path: Path
) -> None:
    assert list(tables) == ["verification", "verification-probe", "verification-paired"]
    for table in tables.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}
    with write_table(tables["verification"], tmp_path).open() as handle:
        rows = {(row["reader"], row["method"]): row for row in csv.DictReader(handle)}
    assert len(rows) == 4 * 5
    row = rows["judge", "Task-GAN"]
    assert float(row["auc_low"]) < float(row["auc"]) < float(row["auc_high"])
    assert row["auc_delong"] == row["auc"]
    assert row["auc_delong_low"] != row["auc_low"]
    low, high = float(row["difference_low"]), float(row["difference_high"])
    assert int(row["excludes_zero"]) == int(low > 0 or high < 0)
    assert float(row["threshold_val"]) == pytest.approx(found.data.thresholds["judge"]["val"])
    assert rows["judge", "task_gan_25d"]["pairs"] == "150"
    shown = [tables["verification"].visible(row) for row in tables["verification"].rows]
    marks = {row[0].value: row[0].small for row in shown}
    assert marks["task"] == "no judge: it taught the generator"
    assert marks["eigenfaces"].startswith("no judge: AUC 0.")
    assert marks["judge"] == marks["lbp"] == ""
    assert all(cell.tone not in ("better", "worse") for row in shown if row[0].small for cell in row)
    assert any(cell.text == "Task-GAN, 2.5D" for row in shown for cell in row)


def test_the_verdict_speaks_of_judges_and_never_of_t(comparison: Comparison, found: VerificationStudy) -> None:
    told = report_verdict(comparison, found)
    assert "verification by the judge" in told.headline
    said = " ".join(told.findings)
    assert "Can the judges tell people apart? AUC on 150 pairs of clean photos of 30 people: the judge 0." in said
    assert "Verification by the judge, AUC: Clean 0." in said
    assert "Verification by eigenfaces" not in said
    assert "by T" not in said
    assert "T taught Task-GAN; and Task-GAN, 2.5D, so that T’s verification" in " ".join(told.warnings)
    warned = " ".join(told.warnings)
    assert "Eigenfaces cannot tell people apart on clean photos (AUC 0." in warned
    assert "Only one judge" not in warned
    assert "Between training seeds of one method the AUC differs: the judge by up to 0." in warned


def test_a_difference_around_zero_is_called_none(folders: list[Path], comparison: Comparison) -> None:
    texts = {folder: (folder / "verification.csv").read_text() for folder in folders}
    try:
        for folder in folders:
            method, seed = folder.name.rsplit("-", 1)
            if method == "task_gan":
                write_pairs(folder / "verification.csv", "gan", 9 + int(seed), 30)
        same = verification_study(comparison)
        assert same is not None
        one = same.differences["judge", BOTH, "gan"]["task_gan"].auc
        assert one.verdict == "none"
        told = next(f for f in report_verdict(comparison, same).findings if f.startswith("Task-GAN against GAN"))
        assert "o difference is shown in" in told
        assert told.index("verification by the judge") > told.index("o difference is shown in")
    finally:
        for folder, text in texts.items():
            (folder / "verification.csv").write_text(text)


def test_equal_verification_can_be_shown_by_a_margin(folders: list[Path], comparison: Comparison) -> None:
    stated = {
        margin: replace(comparison, inference=parse_inference([f"verification={margin}"])) for margin in (0.9, 0.001)
    }
    for margin, asked in stated.items():
        result = verification_study(asked)
        assert result is not None
        one = result.differences["judge", BOTH, "gan"]["task_gan"].auc
        assert one.equivalence is not None
        assert one.equivalence.margin == margin
        # Over two methods Holm's correction never makes a p smaller.
        assert one.p_equivalent >= one.equivalence.p
        narrow, wide = one.crossed_equivalence, one.crossed
        assert wide.low < narrow.low < narrow.high < wide.high
        assert (equivalence_word(one) == "equivalent") == (margin == 0.9)
        told = [f for f in report_verdict(asked, result).findings if "by the margins that were stated" in f]
        word = "verification by the judge equivalent within ±0.9" if margin == 0.9 else "not shown"
        assert len(told) == 2
        assert all(word in f for f in told)
        assert not any("by T " in f for f in told)


def test_harm_and_lonely_judges_are_warned_of(comparison: Comparison, found: VerificationStudy) -> None:
    input_again = {
        (reader, method, protocol): (found.data.distances[reader, "clean", BOTH] if method == "input" else values)
        for (reader, method, protocol), values in found.data.distances.items()
    }
    judge_only = tuple(r for r in found.data.readers if r != "lbp")
    verified = replace(found.data, distances=input_again, readers=judge_only)
    from taskgan.report import study as module

    changes = module._changes(comparison, verified, "judge", BOTH, "input")
    worse = replace(found, data=verified, differences={("judge", BOTH, "input"): changes})
    warned = " ".join(study_warnings(comparison, worse))
    assert "By the judge, people are harder to tell apart after restoring than before: GAN (−0." in warned
    assert "Only one judge (the judge) can tell people apart on clean photos" in warned
    nobody = replace(worse, data=replace(verified, readers=("task", "eigenfaces")))
    assert "No judge can tell people apart" in " ".join(study_warnings(comparison, nobody))
    assert list(study_findings(comparison, None)) == []


def test_the_area_under_the_mean_curve_is_the_mean_area(found: VerificationStudy) -> None:
    values, same = found.data.distances["judge", "gan", BOTH], found.data.pairs.same
    across, up = mean_curve(values, same)
    assert (across[0], up[0], across[-1], up[-1]) == (0, 0, 1, 1)
    area = float((np.diff(across) * up[:-1]).sum())
    assert area == pytest.approx(np.mean([roc_curve(one, same).auc for one in values]))


def clear_of(verified: VerificationData, cut: float) -> np.ndarray:
    """Pairs whose distances by both methods are further from the cut than another seed moves half of all."""
    seeds = verified.distances["judge", "task_gan", BOTH]
    noise = np.median(seeds.std(axis=0, ddof=1))
    return np.all([np.abs(verified.distances["judge", m, BOTH][0] - cut) > noise for m in ("gan", "task_gan")], axis=0)


def test_examples_are_picked_by_rank(comparison: Comparison, found: VerificationStudy) -> None:
    picked = choose_examples(comparison, found)
    verified = found.data
    cut = verified.thresholds["judge"]["val"]
    first = {m: verified.distances["judge", m, BOTH][0] for m in verified.methods}
    lost = verified.pairs.same & (first["clean"] <= cut) & (first["input"] > cut)
    assert (~clear_of(verified, cut)).any()
    lost &= clear_of(verified, cut)
    ours, theirs = first["task_gan"] <= cut, first["gan"] <= cut
    counts = {True: int((lost & ours & ~theirs).sum()), False: int((lost & ~ours & theirs).sum())}
    assert counts[True]
    assert {one.recovered: one.count for one in picked} == {won: n for won, n in counts.items() if n}
    for one in picked:
        assert lost[one.index]
        assert (ours[one.index], theirs[one.index]) == (one.recovered, not one.recovered)
        heading, caption = example_caption(comparison, one)
        assert heading.startswith("Figure 2 (b). A person whom the input loses and Task-GAN")
        assert f"of {one.count} pair" in caption
    assert choose_examples(comparison, None) == []


def test_where_no_person_is_lost_people_who_are_taken_for_one_are_shown(
    comparison: Comparison, found: VerificationStudy
) -> None:
    """On photos that are all alike everybody is one person."""
    verified = found.data
    near = {key: 0.2 * values if key[1] == "input" else values for key, values in verified.distances.items()}
    picked = choose_examples(comparison, replace(found, data=replace(verified, distances=near)))
    cut, same = verified.thresholds["judge"]["val"], verified.pairs.same
    first = {m: verified.distances["judge", m, BOTH][0] for m in verified.methods}
    asked = ~same & (first["clean"] > cut)
    asked &= clear_of(verified, cut)
    assert picked
    for one in picked:
        better, worse = ("task_gan", "gan") if one.recovered else ("gan", "task_gan")
        group = asked & (first[better] > cut) & (first[worse] <= cut)
        assert not one.same
        assert group[one.index]
        assert one.count == group.sum()
        heading, caption = example_caption(comparison, one)
        assert "Two people whom the input takes for one and Task-GAN" in heading
        assert "of two people that it tells apart on clean photos" in caption


def test_old_evaluations_have_no_study(folders: list[Path], tmp_path: Path) -> None:
    old = make_faces(tmp_path, RUNS[:1], people=6, size=16, verification=False)
    assert verification_study(load_comparison(old)) is None
    assert study_tables(load_comparison(old), None) == []
    with pytest.raises(UserError, match="--margin verification: the evaluations hold no verified pairs"):
        verification_study(load_comparison(old, inference=parse_inference(["verification=0.01"])))
