"""What an evaluation says of images in other units, and of readers that have not learnt; one case has a report."""

from pathlib import Path

import numpy as np
import pytest

from fake_cohort import StubReader, blur, make_cohort, make_restorations
from taskgan.core.files import read_yaml
from taskgan.evaluate.run import evaluate
from taskgan.judges.recogniser import RecogniserMetrics, unlearnt_reason
from taskgan.report.run import compare


def readers() -> dict[str, StubReader]:
    return {"task": StubReader(), "judge": StubReader(1.55, 5.0)}


def test_another_tools_images_in_other_units_are_named(cohort: Path, tmp_path: Path) -> None:
    restored = make_restorations(tmp_path / "r", cohort, "tool", lambda clean, rng: np.asarray(1000 * clean))
    notes = read_yaml(evaluate(restored, cohort, tmp_path / "e", readers=readers()) / "evaluation.yaml")["notes"]
    assert any("the restored images are 1e+03 times the clean ones" in note for note in notes)
    restored = make_restorations(tmp_path / "s", cohort, "same", blur(1))
    notes = read_yaml(evaluate(restored, cohort, tmp_path / "f", readers=readers()) / "evaluation.yaml")["notes"]
    assert not any("times the clean ones" in note for note in notes)


def test_one_test_case_has_a_report_that_says_what_it_cannot(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", test=1)
    restored = make_restorations(tmp_path / "r", cohort, "gan", blur(1))
    page = compare([evaluate(restored, cohort, tmp_path / "e", readers=readers())], tmp_path / "report")
    text = page.read_text()
    assert "There is one subject" in text


@pytest.mark.parametrize(
    ("auc", "mae", "with_mask", "said"),
    [
        (0.5, 0.4, None, "AUC 0.50"),
        (0.9, 0.2, None, ""),
        (None, 1.0, 1.0, "Dice 0.00"),
        (None, 0.3, 1.0, ""),
        (None, 0.75, 0.75, "Dice 0.00"),  # who marks nothing is right of a quarter of the volumes
        (None, 0.6, 0.75, ""),
    ],
)
def test_a_reader_that_has_not_learnt_is_named(
    auc: float | None, mae: float, with_mask: float | None, said: str
) -> None:
    values = {"volume_error": None, "balanced_accuracy": None, "loss": 1.0, "with_mask": with_mask}
    metrics = RecogniserMetrics(volumes=8, slice_mae=mae, auc=auc, **values)
    reason = unlearnt_reason("task", metrics, masks=with_mask is not None)
    assert (said in reason) if said else not reason
