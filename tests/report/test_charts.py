from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from taskgan.report.agreement import bland_altman, suvr_scatter
from taskgan.report.charts import curve_chart, difference_chart, run_curves
from taskgan.report.load import load_comparison


def size(path: Path | None) -> tuple[int, int]:
    assert path is not None
    with Image.open(path) as image:
        return image.size


def test_many_methods_go_into_rows_of_four(evaluations: list[Path], tmp_path: Path) -> None:
    comparison = load_comparison(evaluations)
    four = size(suvr_scatter(comparison, tmp_path / "four.png"))
    gan = comparison.rows("gan")
    more = [gan.assign(method=name) for name in ("A", "B")]
    frame = pd.concat([comparison.frame, *more], ignore_index=True)
    wide = replace(comparison, frame=frame, methods=(*comparison.methods, "A", "B"))
    six = size(suvr_scatter(wide, tmp_path / "six.png"))
    assert six[0] == four[0]
    assert six[1] == 2 * four[1]
    assert size(bland_altman(wide, tmp_path / "ba.png"))[0] == four[0]


def test_without_suvr_there_is_no_suvr_figure(evaluations: list[Path], tmp_path: Path) -> None:
    comparison = load_comparison(evaluations)
    frame = comparison.frame.assign(suvr_restored=float("nan"), suvr_bias=float("nan"))
    bare = replace(comparison, frame=frame)
    assert suvr_scatter(bare, tmp_path / "a.png") is None
    assert bland_altman(bare, tmp_path / "b.png") is None
    full = size(difference_chart(comparison, tmp_path / "c.png"))
    assert size(difference_chart(bare, tmp_path / "d.png"))[0] < full[0]


def test_curves_come_from_the_runs_around_the_evaluations(evaluations: list[Path], tmp_path: Path) -> None:
    comparison = load_comparison(evaluations)
    runs = run_curves(comparison)
    assert [(method, seed) for method, seed, _ in runs] == [("task_gan", 0), ("l1", 0), ("gan", 0), ("gan", 1)]
    assert runs[0][2]["val_psnr"].tolist() == [20.5, 21.0]
    assert size(curve_chart(comparison, tmp_path / "curves.png"))[0] > 900  # three of the five panels
    alone = replace(comparison, evaluations=())
    assert curve_chart(alone, tmp_path / "none.png") is None


def test_cycle_gan_has_a_panel_of_its_own_and_none_on_the_scale_of_eq_2(
    evaluations: list[Path], one_evaluation: Callable[..., Path], tmp_path: Path
) -> None:
    run = one_evaluation("cycle_gan")
    (run.parent / "metrics.csv").write_text(
        "step,pixel,adversarial,task,cycle,val_psnr\n50,,0.7,,0.3,20\n100,,0.7,,0.2,21\n"
    )

    def width(folders: list[Path]) -> int:
        return size(curve_chart(load_comparison(folders), tmp_path / "curves.png"))[0]

    assert load_comparison([*evaluations, run]).methods == ("l1", "cycle_gan", "gan", "task_gan")
    panel = width(evaluations) / 3
    assert width([*evaluations, run]) == pytest.approx(4 * panel, abs=2)
    assert width([run]) == pytest.approx(2 * panel, abs=2)
