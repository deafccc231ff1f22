"""The audit's page in a real browser, with no network."""

import shutil
from pathlib import Path

from browser import assert_same_markup, hostile, needs_chromium, probed, rewrite
from taskgan.audit.inputs import AuditSettings, from_cohort
from taskgan.audit.judges import Judge
from taskgan.audit.run import Audit, audit
from taskgan.core.files import read_yaml, write_yaml

pytestmark = needs_chromium


def test_every_picture_loads_and_the_page_fits_a_laptop(audited: Audit, tmp_path: Path) -> None:
    page = probed(audited.page, tmp_path)
    assert page["images"] == 7  # three cases, four charts
    assert (page["broken"], page["wide"], page["lost"]) == (0, False, 0)


def test_names_are_text(audited: Audit, discs: Path, judges: list[Judge], tmp_path: Path) -> None:
    """Of cases, subjects, methods and folders."""
    root = Path(shutil.copytree(discs, tmp_path / "<img src=x onerror=window.hit=1>"))
    cases: dict[str, str] = {}

    def rename(row: dict[str, str]) -> dict[str, str]:
        number = len(cases)
        cases[row["case"]] = row["case"] if row["split"] == "train" else hostile(number, file_name=True)
        subject = row["subject"] if row["split"] == "train" else hostile(number)
        return row | {"case": cases[row["case"]], "subject": subject}

    rewrite(root / "cohort" / "pairs.csv", rename)
    for number, name in enumerate(("erased", "kept")):
        rewrite(root / name / "restored.csv", lambda row: row | {"case": cases[row["case"]]})
        write_yaml(
            root / name / "restored.yaml", read_yaml(root / name / "restored.yaml") | {"method": hostile(number)}
        )
    inputs = from_cohort(root / "erased", root / "cohort", against=[root / "kept"])
    settings = AuditSettings(calibration="val", alpha=0.2)
    bad = audit(inputs, tmp_path / "audit", judges=judges, settings=settings, command=hostile(4))
    assert_same_markup(bad.page, audited.page, tmp_path)
