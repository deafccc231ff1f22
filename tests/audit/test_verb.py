import shutil
import sys
from pathlib import Path

import pytest

from discs import RECIPE
from taskgan.audit.verb import audit_passes
from taskgan.cli import main
from taskgan.core.artefact import verify
from taskgan.core.files import read_yaml, write_yaml
from taskgan.recipe import dump_recipe


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["taskgan", "audit", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(("rate", "code"), [("0.3", 1), ("0.6", 0)])
def test_the_exit_code_says_whether_the_rate_may_be_over_what_is_allowed(
    rate: str,
    code: int,
    discs: Path,
    folders: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judges = [word for folder in folders for word in ("--judge", folder)]
    words = [discs / "erased", discs / "cohort", "-o", tmp_path / "a", *judges, "--figures", "0"]
    assert call(monkeypatch, *words, "--fail-over", rate) == code
    assert (tmp_path / "a" / "audit.html").is_file()
    failed = "failed: a rate of flips of at most 0.3 was asked for, it may be up to 0.572"
    assert (failed in capsys.readouterr().out) == bool(code)
    before = (tmp_path / "a" / "audit.yaml").stat().st_mtime_ns
    assert call(monkeypatch, *words, "--fail-over", rate) == code  # already done, and says the same
    assert "a: already done" in capsys.readouterr().out
    assert call(monkeypatch, *words[:-2], "--figures", "1") == 2  # other settings
    assert (tmp_path / "a" / "audit.yaml").stat().st_mtime_ns == before
    assert verify(tmp_path / "a") == (1, [])


def test_a_refusal_is_exit_code_2_and_leaves_nothing(
    discs: Path,
    folders: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(folders[0], tmp_path / "judge")
    card = read_yaml(tmp_path / "judge" / "recogniser.yaml")
    write_yaml(tmp_path / "judge" / "recogniser.yaml", {**card, "training_subjects": ["test00"]})
    words = [discs / "kept", discs / "cohort", "-o", tmp_path / "a", "--judge", tmp_path / "judge"]
    assert call(monkeypatch, *words) == 2
    assert "learnt from audited subjects (training subjects): test00" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_the_page_names_the_call_that_makes_it_again(discs: Path, folders: list[Path], tmp_path: Path) -> None:
    write_yaml(tmp_path / "recipe.yaml", dump_recipe(RECIPE))
    cohort = discs / "cohort"
    (tmp_path / "labels.csv").write_text("subject,label\n" + "".join(f"test{k:02d},{k % 2}\n" for k in range(12)))
    passed = audit_passes(
        discs / "kept",
        None,
        tmp_path / "audit",
        degraded=cohort / "low",
        clean=cohort / "clean",
        labels=tmp_path / "labels.csv",
        judges=folders,
        recipe=str(tmp_path / "recipe.yaml"),
        method="NLM",
        alpha=0.2,
        by_class=False,
        fail_over=0.5,
    )
    assert passed
    command = read_yaml(tmp_path / "audit" / "audit.yaml")["command"]
    assert "--labels labels.csv -o audit --method NLM" in command
    assert "--alpha 0.2 --pooled" in command
    assert command in (tmp_path / "audit" / "audit.html").read_text()
