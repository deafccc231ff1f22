from pathlib import Path

import pytest
import torch

from discs import RECIPE, erase, keep, make_discs, make_restored
from taskgan.audit.inputs import AuditSettings, from_cohort
from taskgan.audit.judges import Judge, train_judges
from taskgan.audit.run import Audit, audit


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort with restorations ``kept`` and ``erased`` beside it; shared, so tests must not write to it."""
    root = tmp_path_factory.mktemp("discs")
    make_discs(root / "cohort")
    make_restored(root / "kept", root / "cohort", keep, splits=("test", "val"))
    make_restored(root / "erased", root / "cohort", erase, splits=("test", "val"))
    return root


@pytest.fixture(scope="session")
def judges(discs: Path) -> list[Judge]:
    """Two judges of other networks and seeds than T, trained once."""
    torch.set_num_threads(1)
    inputs = from_cohort(discs / "kept", discs / "cohort", recipe=RECIPE)
    return train_judges(inputs, discs / "store")


@pytest.fixture
def folders(judges: list[Judge]) -> list[Path]:
    return [judge.folder for judge in judges if judge.folder is not None]


@pytest.fixture(scope="session")
def audited(discs: Path, judges: list[Judge], tmp_path_factory: pytest.TempPathFactory) -> Audit:
    out = tmp_path_factory.mktemp("audited") / "audit"
    inputs = from_cohort(discs / "erased", discs / "cohort", against=[discs / "kept"])
    return audit(inputs, out, judges=judges, settings=AuditSettings(calibration="val", alpha=0.2))
