import csv
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.report.agreement import flips_table
from taskgan.report.images import selection_rule
from taskgan.report.load import load_comparison
from taskgan.report.run import compare, write_page
from taskgan.report.tables import all_tables
from taskgan.report.verdict import report_verdict

TABLES = (
    "badges",
    "table2-quality-frame",
    "table2-quality-head",
    "table2-paired",
    "table3-readers",
    "table3-paired",
    "flips",
    "suvr",
    "comparisons",
    "geometry",
    "geometry-paired",
)
RUNS = ("l1-0", "gan-0", "gan-1", "task_gan-0")
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects what the tests ask about, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.sources += [v or "" for k, v in attrs if k in ("src", "srcset", "data")]
        self.links += [v or "" for k, v in attrs if k == "href"]
        if tag == "img":
            self.alts.append(found.get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report(fake_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compared") / "report"
    return compare([fake_runs / n / "evaluation" for n in RUNS], out)


def test_the_page_holds_everything_and_asks_for_nothing(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    page = Page(text)
    assert page.sources
    assert all(s.startswith("data:image/png;base64,") for s in page.sources)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not {"link", "iframe", "object"} & set(page.tags)  # and scripts have no source, or it were not data
    assert not re.search(r"https?://|@import|url\(", text)
    assert all(page.alts)
    # Five charts, and the four cases of Figure 3.
    assert len(page.sources) == 9
    assert set(TABLES) <= set(page.ids)


def test_every_table_and_figure_is_also_a_file(report: Path) -> None:
    folder = report.parent
    assert read_yaml(folder / "report.yaml")["headline"].startswith("Task-GAN against GAN")
    assert sorted(p.stem for p in (folder / "tables").glob("*.csv")) == sorted(TABLES)
    figures = sorted(p.stem for p in (folder / "figures").glob("*.png"))
    assert [f for f in figures if not f.startswith("figure3")] == [
        "bland-altman",
        "curves",
        "differences",
        "geometry",
        "suvr-scatter",
    ]
    assert [f[:9] for f in figures if f.startswith("figure3")] == [f"figure3-{c}" for c in "abcd"]
    with (folder / "tables" / "table2-paired.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    row = next(r for r in rows if r["difference"] == "Task-GAN − GAN")
    assert float(row["psnr_low"]) < float(row["psnr"]) < float(row["psnr_high"])


def test_the_page_says_how_to_read_it(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    for sentence in (
        "A difference inside its interval is not shown to be one.",
        "Picked by rule, not by eye.",
        "Radiological orientation",
        "T taught Task-GAN",
        "taskgan compare ",
        "Clopper–Pearson",
    ):
        assert sentence in text


def test_names_are_escaped(fake_runs: Path, one_evaluation: Callable[..., Path], tmp_path: Path) -> None:
    comparison = load_comparison([fake_runs / "gan-0" / "evaluation", one_evaluation("a<b>&c")])
    tables = [*all_tables(comparison), flips_table(comparison)]
    page = write_page(
        tmp_path / "p.html", comparison, report_verdict(comparison), tables, [], [], selection_rule(comparison)
    )
    text = page.read_text(encoding="utf-8")
    assert "a&lt;b&gt;&amp;c" in text
    assert "a<b>" not in text
    assert not Page(text).sources


def test_one_method_alone_is_compared_with_the_input(fake_runs: Path, tmp_path: Path) -> None:
    page = compare([fake_runs / "gan-0" / "evaluation"], tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "GAN on 8 test subjects" in text
    assert "GAN against Input" in text
    Page(text)


def test_again_gives_the_same_bytes_and_tells_the_end(
    report: Path, fake_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [fake_runs / n / "evaluation" for n in RUNS]
    files = {p: p.read_bytes() for p in sorted(report.parent.rglob("*")) if p.is_file()}
    assert compare(folders, report.parent) == report
    assert "already done" in capsys.readouterr().out
    (report.parent / "figures" / "figure3-z-other.png").touch()
    with pytest.raises(UserError, match="--overwrite"):
        compare(folders[:2], report.parent)
    assert compare(folders, report.parent, overwrite=True) == report
    assert files == {p: p.read_bytes() for p in sorted(report.parent.rglob("*")) if p.is_file()}
    (report.parent / "report.yaml").unlink()  # killed before its marker was written
    capsys.readouterr()
    assert compare(folders, report.parent) == report
    assert files == {p: p.read_bytes() for p in sorted(report.parent.rglob("*")) if p.is_file()}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Images", "PSNR", "(dB)", "SSIM", "Relative", "RMSE"]
    assert lines[-1] == f"report: {report}"
