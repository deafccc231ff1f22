"""Text is text, and what looks alike is said."""

from pathlib import Path

import pytest

from taskgan.cohort.pairs import Pairs, lookalike_key, read_pairs, write_pairs
from taskgan.core.errors import UserError


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    names = ("01", "1", "1.0", "sub-01", "10")
    write_pairs(
        tmp_path / "pairs.csv", [{"case": f"c{n}", "subject": n, "degraded": "x.nii", "dose": n} for n in names]
    )
    return read_pairs(tmp_path, ("case",))


def test_text_selects_its_own_rows_only(pairs: Pairs) -> None:
    assert [p.subject for p in pairs.select({"subject": "01"})] == ["01"]
    assert [p.subject for p in pairs.select({"dose": 1})] == ["01", "1", "1.0"]
    assert "1, 1.0, sub-01" in pairs.lookalikes({"subject": "01"})[0]
    assert pairs.lookalikes({"subject": "10"}) == []
    with pytest.raises(UserError, match=r"no row with subject = 001; it has subject = 01, 1, 1\.0, sub-01"):
        pairs.select({"subject": "001"})


def test_what_a_spreadsheet_makes_of_a_name_is_alike() -> None:
    assert len({lookalike_key(t) for t in ("sub-01", "01", "1", "1.0", "SUB-001")}) == 1
    assert len({lookalike_key(t) for t in ("P10", "P1", "P100", "1.5", "15")}) == 5
