"""Reporting checklists, filled from files that are written here."""

import re
from importlib import resources
from pathlib import Path

import pytest

from taskgan.core.errors import UserError
from taskgan.core.files import write_json, write_yaml
from taskgan.core.parse import parse_yaml
from taskgan.report.checklist import checklist

ITEMS = parse_yaml((resources.files("taskgan.report") / "templates" / "checklists.yaml").read_text("utf-8"), "x")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_yaml(tmp_path / "run" / "recipe.yaml", {"objective": "task_gan", "task": {"kind": "binary"}})
    write_yaml(tmp_path / "run" / "model" / "model.yaml", {"intended_use": "Research | only", "limits": []})
    psnr = {"estimate": 28.4, "low": 27.9, "high": None}
    write_json(tmp_path / "run" / "evaluation" / "summary.json", {"gan": {"quality": {"psnr": psnr}, "subjects": 8}})
    return tmp_path / "run"


def rows(text: str) -> dict[str, str]:
    cells = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[-1] for row in cells if row[0].isdigit()}


def test_every_answer_names_its_file_and_the_rest_is_not_done(run: Path, tmp_path: Path) -> None:
    text = checklist("claim", [run], tmp_path / "claim.md").read_text()
    found = rows(text)
    assert list(found) == [str(number) for number in range(1, 45)]
    assert found["3"] == r"intended_use: Research \| only (`run/model/model.yaml`)"
    assert found["6"] == "objective: task_gan (`run/recipe.yaml`)<br>task.kind: binary (`run/recipe.yaml`)"
    assert found["35"] == "gan.subjects: 8 (`run/evaluation/summary.json`)"
    assert found["37"] == "gan.quality.psnr: 28.400 (`run/evaluation/summary.json`)"
    assert found["1"] == found["40"] == found["33"] == "not done"  # an empty list of limits says nothing
    filled = [number for number, said in found.items() if said != "not done"]
    assert f"Filled: {len(filled)} of 44 items." in text


def test_relaince_as_a_page(run: Path, tmp_path: Path) -> None:
    page = checklist("relaince", [run], tmp_path / "relaince.html").read_text()
    for number in ITEMS["relaince"]["items"]:
        assert f">{number}</td>" in page
    assert len(ITEMS["relaince"]["items"]) == 20
    assert "task.kind: binary" in page
    assert "run/recipe.yaml" in page
    assert page.count("not done") > 10


def test_mistakes_are_one_sentence_and_write_nothing(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.md"
    with pytest.raises(UserError, match="--checklist stard: expected one of claim, relaince"):
        checklist("stard", [run], out)
    with pytest.raises(UserError, match=r"expected one that ends in \.md or \.html"):
        checklist("claim", [run], tmp_path / "c.pdf")
    with pytest.raises(UserError, match="hold none of"):
        checklist("claim", [tmp_path / "nowhere"], out)
    (run / "evaluation" / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"a summary\.json cannot be read"):
        checklist("claim", [run], out)
    assert not out.exists()
    (run / "evaluation" / "summary.json").unlink()
    checklist("claim", [run], out)
    with pytest.raises(UserError, match="already exists; say --overwrite"):
        checklist("claim", [run], out)
    assert checklist("claim", [run], out, overwrite=True) == out
