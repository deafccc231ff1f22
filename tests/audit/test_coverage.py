from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from taskgan.audit.coverage import selection_warning
from taskgan.audit.inputs import AuditInputs, from_cohort
from taskgan.audit.judges import Judge
from taskgan.cohort.pairs import subject_digest


class Stopped:
    """A judge whose training some subjects ended."""

    def __init__(self, *subjects: str) -> None:
        self.subjects = subjects

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.zeros(len(slices), dtype=np.float32)

    def description(self) -> dict[str, Any]:
        return {"validation_subjects": list(self.subjects)}


@pytest.fixture
def inputs(discs: Path) -> AuditInputs:
    return from_cohort(discs / "kept", discs / "cohort")


def seen(inputs: AuditInputs, *subjects: str) -> AuditInputs:
    """The same, restored by somebody who writes down whom training saw."""
    about = {"people": [subject_digest(s) for s in subjects], "images": []}
    return replace(inputs, audited=replace(inputs.audited, origin={**inputs.audited.origin, "seen": about}))


def test_subjects_that_chose_the_model_do_not_calibrate_it_unwarned(inputs: AuditInputs) -> None:
    theirs = seen(inputs, "train00", "val00")
    told = selection_warning(theirs, [Judge("eye", Stopped("val01"))], 0.1)
    assert "The 8 val subjects that calibrated helped to choose kept, eye" in told
    assert "cover less than 90 %" in told
    assert "--calibration 0.5" in told
    assert "helped to choose kept (" in selection_warning(theirs, [Judge("eye", Stopped("stranger"))], 0.1)


def test_subjects_that_chose_nobody_calibrate_without_a_word(inputs: AuditInputs) -> None:
    assert selection_warning(seen(inputs, "train00"), [Judge("eye", Stopped("stranger"))], 0.1) == ""
    assert selection_warning(seen(inputs), [Judge("eye", Stopped())], 0.1) == ""  # a filter learns from nobody


def test_of_a_restorer_that_does_not_say_it_is_left_open(inputs: AuditInputs) -> None:
    told = selection_warning(inputs, [Judge("eye", Stopped())], 0.1)
    assert "may have helped to choose kept, of which nothing says by whom it was chosen" in told
