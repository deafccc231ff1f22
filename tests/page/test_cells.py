import csv
from pathlib import Path

import pytest

from taskgan.page.cells import (
    Column,
    Table,
    difference_cell,
    estimate_cell,
    number,
    range_text,
    rate_cell,
    text_cell,
    write_table,
)
from taskgan.stats import Interval

NAN = float("nan")


def test_numbers_are_typeset() -> None:
    assert number(-1.234, 2) == "−1.23"
    assert number(1.2, 2, sign=True) == "+1.20"
    assert number(NAN, 2) == "–"
    assert number(float("inf"), 2) == "∞"
    assert range_text(Interval(0, -0.5, 0.25), 2, sign=True) == "[−0.50, +0.25]"
    assert range_text(Interval(0, NAN, NAN), 2) == ""


@pytest.mark.parametrize(
    ("low", "high", "better", "tone"),
    [
        (0.1, 0.3, 1, "better"),
        (0.1, 0.3, -1, "worse"),
        (-0.3, -0.1, -1, "better"),
        (-0.1, 0.3, 1, "none"),
        (NAN, NAN, 1, "none"),
    ],
)
def test_a_difference_inside_its_interval_is_none(low: float, high: float, better: int, tone: str) -> None:
    cell = difference_cell(Interval(0.2 if not low < 0 else (low + high) / 2, low, high), 2, better=better)
    assert cell.tone == tone
    assert cell.text.startswith({"better": "▲", "worse": "▼", "none": "+"}[tone])


def test_rates_show_counts() -> None:
    cell = rate_cell(Interval(0.35, 0.1539, 0.5922), 7, 20)
    assert (cell.text, cell.small) == ("7/20", "[15 %, 59 %]")
    assert rate_cell(Interval(NAN, NAN, NAN), 0, 0).text == "–"


def test_a_table_is_written_as_numbers(tmp_path: Path) -> None:
    table = Table(
        "t",
        "T",
        "",
        (Column("method", "Method"), Column("psnr", "PSNR")),
        (
            (text_cell("GAN"), estimate_cell(Interval(28.123456, 27.0, 29.0), 2)),
            (text_cell("x"), estimate_cell(Interval(1.0, NAN, NAN), 2)),
        ),
    )
    with write_table(table, tmp_path).open() as handle:
        rows = list(csv.DictReader(handle))
    assert rows[0] == {"method": "GAN", "psnr": "28.123456", "psnr_low": "27", "psnr_high": "29"}
    assert rows[1]["psnr_low"] == ""


def test_groups_open_where_the_first_cell_changes() -> None:
    rows = tuple((text_cell(n), text_cell("")) for n in "aab")
    table = Table("t", "T", "", (Column("a", "A"), Column("b", "B")), rows, grouped=True)
    assert [table.opens(i) for i in range(3)] == [True, False, True]
