import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from experiment_scripts import loaded
from taskgan.stats import obuchowski_rockette, reader_figures

RESULTS = Path(__file__).parents[2] / "results" / "mrmc"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with loaded("mrmc_coverage") as module:
        yield module


@pytest.mark.parametrize("design", ["crossed", "split-plot"])
def test_the_interval_of_a_difference_covers(script: ModuleType, design: str) -> None:
    row = script.coverage(("alike", 6, 30, 30, design, "delong", "both", "auc"), 200, seed=0)
    assert stats.binom.ppf(0.001, 200, 0.95) <= 200 * row["difference"]
    assert row["difference"] > 0.9
    assert row["first_method"] > 0.88


def test_an_interval_for_these_readers_does_not_cover_others(script: ModuleType) -> None:
    people = ("unlike", 3, 60, 60, "crossed", "delong")
    fixed = script.coverage((*people, "cases", "auc"), 150, seed=1)
    random = script.coverage((*people, "both", "auc"), 150, seed=1)
    assert random["difference"] > fixed["difference"]
    assert random["mean_width"] > fixed["mean_width"]


@pytest.mark.parametrize("figure", ["error", "sensitivity"])
def test_the_expected_rates_are_those_of_many_cases(script: ModuleType, figure: str) -> None:
    people = script.PEOPLE["alike"]
    ratings, truth = script.simulated(people, 60, 900, 300, "crossed", np.random.default_rng(2))
    decisions = (ratings > people.separation(script.AUCS[0]) / 2).astype(float)
    wanted = truth == 1 if figure == "sensitivity" else truth >= 0
    right = (decisions == truth)[..., wanted].mean(axis=(1, 2))
    assert script.expected(people, figure, 0.25) == pytest.approx(
        list(right if figure == "sensitivity" else 1 - right), abs=0.04
    )


def test_a_file_of_ratings_is_analysed(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ratings, truth = script.simulated(script.PEOPLE["alike"], 3, 12, 12, "crossed", np.random.default_rng(3))
    with (tmp_path / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["reader", "treatment", "case", "truth", "rating"])
        for (t, r, c), rating in np.ndenumerate(ratings):
            writer.writerow([r, t, f"{c:02d}", truth[c], rating])
    monkeypatch.setattr(sys, "argv", ["", "--ratings", str(tmp_path / "ratings.csv"), "--out", str(tmp_path)])
    script.main()
    found = json.loads((tmp_path / "van-dyke.json").read_text())
    known = obuchowski_rockette(reader_figures(ratings, truth))
    assert found["delong, random both"]["f"] == pytest.approx(known.f)
    assert found["delong, random cases"]["freedom"] is None


def test_the_published_result_is_what_the_ratings_gave() -> None:
    # MRMCaov 0.1.2: F 4.456319, 15.25967 degrees of freedom, p .05166569, and its components.
    found = json.loads((RESULTS / "van-dyke.json").read_text())
    assert found["jackknife, random both"]["f"] == pytest.approx(4.456319, abs=1e-6)
    assert found["jackknife, random both"]["freedom"] == pytest.approx(15.25967, abs=1e-5)
    components = found["jackknife, components"]
    assert [components[k] for k in ("reader", "method_reader", "error", "cov1", "cov2", "cov3")] == pytest.approx(
        [0.0015349993, 0.0002004025, 0.0008022883, 0.0003466137, 0.0003440748, 0.0002390284], abs=1e-9
    )


def test_the_committed_coverage_is_near_95_per_cent(script: ModuleType) -> None:
    found = json.loads((RESULTS / "coverage.json").read_text())
    rows = found["settings"]
    assert [tuple(row.values())[:8] for row in rows] == script.SETTINGS
    assert all(0.93 <= row["difference"] <= 0.985 for row in rows)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_setting_covers(script: ModuleType) -> None:
    rows = [script.coverage(setting, 1000, seed=100 + i) for i, setting in enumerate(script.SETTINGS)]
    assert all(0.92 <= row["difference"] <= 0.99 for row in rows)
