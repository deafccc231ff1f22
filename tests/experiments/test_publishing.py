"""Pages of published results are for people: rounded, with names, each estimate with its interval."""

import importlib
import sys
from pathlib import Path

import pytest


@pytest.fixture
def markdown(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "experiments"))
    sys.modules.pop("publishing", None)
    return importlib.import_module("publishing").markdown


def test_a_table_is_rounded_and_named(markdown: object, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        "method,cases,psnr,psnr_low,psnr_high,auc_delong,p,paper\n"
        "gan_strong,12,26.9332261,26.8128,27.0483,0.9,2.88e-305,\n"
        "input,12,-0.0000151,-0.0061209,0.00309,0.9,0.5122,\n"
    )
    assert markdown(table).splitlines() == [  # type: ignore[operator]
        "| Images | Cases | PSNR (dB) | p, corrected |",
        "| --- | --- | --- | --- |",
        "| GAN, strong | 12 | 26.93 [26.81, 27.05] | < .001 |",
        "| Input | 12 | 0.0000 [−0.0061, 0.0031] | 0.512 |",
    ]


def test_what_has_no_rows_is_no_table(markdown: object, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("method,psnr\n")
    assert markdown(tmp_path / "t.csv") == ""  # type: ignore[operator]


def test_published_pages_are_those_of_their_tables(markdown: object) -> None:
    publishing = sys.modules["publishing"]
    for name in ("lfw", "mr", "pet-demo", "pet-evidence"):
        out = Path(__file__).parents[2] / "results" / name
        text = (out / "README.md").read_text(encoding="utf-8")
        table = next(iter(sorted((out / "tables").glob("table2-*.csv"))))
        assert publishing.markdown(table) in text
