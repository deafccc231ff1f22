"""An audit of an evaluation: the same numbers, and images are read only where they have to be."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from taskgan.audit.inputs import AuditSettings, from_evaluation
from taskgan.audit.judges import train_judges
from taskgan.audit.run import Audit, audit
from taskgan.audit.verb import audit_passes
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml, write_yaml
from taskgan.evaluate.run import evaluate
from taskgan.judges.readings import READINGS, read_readings


@pytest.fixture(scope="module")
def evaluations(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``kept`` and ``erased`` evaluated, with the recognisers of the audits."""
    root = tmp_path_factory.mktemp("evaluations")
    for name in ("kept", "erased"):
        evaluate(discs / name, discs / "cohort", root / name, store=discs / "store")
    return root


def test_an_evaluation_gives_the_readings_that_an_audit_makes(
    evaluations: Path, discs: Path, audited: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = from_evaluation(evaluations / "erased", against=[evaluations / "kept"])
    judges = train_judges(inputs, discs / "store")
    read: list[str] = []
    network = type(judges[0].reader)
    own = network.read

    def watched(self: Any, slices: Any) -> Any:
        read.append(f"{self.card.settings.network}-{self.card.settings.seed}")
        return own(self, slices)

    monkeypatch.setattr(network, "read", watched)
    done = audit(inputs, tmp_path / "audit", judges=judges, settings=AuditSettings(calibration="none", figures=0))
    assert set(read) == {"resnet10-1001"}  # the other one is the evaluation's judge
    ours, theirs = (read_readings(folder) for folder in (done.page.parent, audited.page.parent))
    theirs = theirs[theirs["split"] == "test"]
    key = ["case", "image", "judge", "output"]
    pd.testing.assert_frame_equal(
        ours.sort_values(key, ignore_index=True), theirs.sort_values(key, ignore_index=True), rtol=1e-6
    )
    assert done.outcome.flipped["case"].tolist() == audited.outcome.flipped["case"].tolist()
    mine, before = (one.outcome.metrics["SUVR"]["erased"] for one in (done, audited))
    assert (mine.flips, mine.error, mine.flipped) == (before.flips, before.error, before.flipped)


def test_the_verb_takes_an_evaluation_and_writes_the_call_down(
    evaluations: Path, folders: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "runs"
    shutil.copytree(evaluations / "kept", place / "kept")
    record = read_yaml(place / "kept" / "evaluation.yaml")
    for name in ("restored", "cohort", "table"):
        record[name] = str((evaluations / "kept" / record[name]).resolve())
    write_yaml(place / "kept" / "evaluation.yaml", record)
    out = tmp_path / "audit"
    assert audit_passes(place / "kept", None, out, judges=folders, calibration="none", figures=0)
    command = read_yaml(out / "audit.yaml")["command"]
    assert command.startswith("taskgan audit runs/kept -o audit --method kept")


def test_misuse_of_an_evaluation_is_a_sentence(evaluations: Path, discs: Path, tmp_path: Path) -> None:
    kept = evaluations / "kept"
    with pytest.raises(UserError, match=r"is an evaluation, which says its cohort and recipe itself: leave out"):
        audit_passes(kept, discs / "cohort", tmp_path / "a")
    with pytest.raises(UserError, match=r"was read with --slices 40, expected 3: say --slices 40"):
        audit_passes(kept, None, tmp_path / "a", slices=3)
    with pytest.raises(UserError, match=r"is the evaluation itself"):
        audit_passes(kept, None, kept)
    copy = tmp_path / "copy"
    shutil.copytree(kept, copy)
    (copy / READINGS).write_text("case,judge\nx,y\n")
    with pytest.raises(UserError, match=r"readings\.csv lacks the columns subject, split, image"):
        audit_passes(copy, None, tmp_path / "a")
    (copy / READINGS).unlink()
    with pytest.raises(UserError, match=r"holds no readings\.csv; expected a folder that taskgan evaluate"):
        audit_passes(copy, None, tmp_path / "a")
