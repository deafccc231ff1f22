"""Evaluation folders made of a table that a test writes, without images and networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from taskgan.core.files import write_yaml
from taskgan.evaluate.cases import write_case_table


def case(subject: str, method: str, suvr: float, clean: float, **more: object) -> dict[str, object]:
    """A row of ``cases.csv`` with what the report asks of the SUVR and of quality."""
    own = {"case": subject, "subject": subject, "method": method, "label": float(clean >= 1.38)}
    values = {"suvr_restored": suvr, "suvr_reference": clean, "suvr_bias": suvr - clean, "suvr_decision": suvr >= 1.38}
    return {**own, **{name: float(value) for name, value in values.items()}, "psnr": 30.0, **more}


def evaluation(folder: Path, rows: Sequence[Mapping[str, object]], **record: object) -> Path:
    """A finished evaluation folder of the rows."""
    folder.mkdir(parents=True)
    write_case_table(folder / "cases.csv", rows)
    methods = {str(row["method"]) for row in rows} - {"clean", "input"}
    write_yaml(folder / "evaluation.yaml", {"method": sorted(methods)[0], **record})
    return folder
