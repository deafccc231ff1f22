"""Job arrays: parts of a call measure side by side what one call measures."""

from pathlib import Path
from typing import Any

import pytest

from fake_cohort import StubReader, make_cohort, make_restorations, shrink
from taskgan.core.artefact import verify
from taskgan.core.errors import UserError
from taskgan.evaluate import measure
from taskgan.evaluate import run as verb
from taskgan.evaluate.run import evaluate


class Known(StubReader):
    """A reader that is the same one in every call."""

    def model_dump(self, mode: str) -> dict[str, Any]:
        return self.description()


READERS = {"task": Known(), "judge": Known(1.55, 5.0)}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_parts_write_the_bytes_of_one_call_and_go_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = make_cohort(tmp_path / "cohort", test=5, doses=(1, 5))
    restored = make_restorations(tmp_path / "restored", cohort, "gan", shrink(0.5, 0.05))
    whole = evaluate(restored, cohort, tmp_path / "whole", readers=READERS)
    out, measured = tmp_path / "parts", []

    def counted(pairs, context):
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.extend(pair.case for pair in pairs)
        return measure_cases(pairs, context)

    measure_cases = measure.measure_cases
    monkeypatch.setattr(measure, "measure_cases", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(restored, cohort, out, readers=READERS, part="1/2")
    monkeypatch.setattr(measure, "measure_cases", lambda *args: measured.append("more") or measure_cases(*args))
    evaluate(restored, cohort, out, readers=READERS, part="1/2")
    assert measured == ["sub-01_dose-1", "sub-01_dose-5", "sub-03_dose-1", *["more"] * 3]
    assert not (out / "cases.csv").exists()
    capsys.readouterr()
    evaluate(restored, cohort, out, readers=READERS, part="2/2")
    assert "all 2 parts are done" in capsys.readouterr().out
    assert len(measured) == 10
    assert contents(out) == contents(whole)
    assert not (out / verb.MEASURED).exists()
    assert verify(out) == (1, [])
    evaluate(restored, cohort, out, readers=READERS, part="1/2")
    assert "already done" in capsys.readouterr().out


def test_an_evaluation_of_other_images_is_refused_by_a_part(cohort: Path, tmp_path: Path) -> None:
    first = make_restorations(tmp_path / "first", cohort, "gan", shrink(0.5, 0.05))
    other = make_restorations(tmp_path / "other", cohort, "gan", shrink(0.6, 0.05))
    out = evaluate(first, cohort, tmp_path / "out", readers={})
    with pytest.raises(UserError, match="other inputs or settings"):
        evaluate(other, cohort, out, readers={}, part="1/2")
    with pytest.raises(UserError, match="K from 1 to N"):
        evaluate(other, cohort, out, readers={}, part="3/2")
