"""What the option parser refuses, in the words of the house. (`tests/test_cli.py` has what the verbs refuse.)"""

import sys

import pytest

from taskgan.cli import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train", "taskgan train: missing arguments RECIPE, COHORT, RUN (see taskgan train --help)"),
        ("train pet cohort", "taskgan train: missing argument RUN (see taskgan train --help)"),
        ("evaluate a b", "taskgan evaluate: missing option --out (see taskgan evaluate --help)"),
        ("restore m -o x", "taskgan restore: missing argument INPUTS (see taskgan restore --help)"),
        (
            "train a b c --ovrwrite",
            "taskgan train: unknown option --ovrwrite, did you mean --overwrite? (see taskgan train --help)",
        ),
        ("info x --qqq", "taskgan info: unknown option --qqq (see taskgan info --help)"),
        ("trian", "taskgan: unknown command trian, did you mean train? (see taskgan --help)"),
        ("demo x", "taskgan demo: unknown command x, expected one of "),
        ("info a b", "taskgan info: unexpected argument b (see taskgan info --help)"),
        ("train a b c --set", "taskgan: option '--set' requires an argument (see taskgan --help)"),
    ],
)
def test_misuse_is_one_line_that_says_what_and_where_the_help_is(
    words: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in message(words, monkeypatch, capsys)


@pytest.mark.parametrize("found", ["x", "0"])
def test_a_value_out_of_range_is_named_with_what_was_found(
    found: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The parser's own words for what it expected differ between its versions."""
    text = message(f"simulate pet o --subjects {found}", monkeypatch, capsys)
    assert text.startswith("taskgan simulate pet: --subjects: ")
    assert f"'{found}'" in text
    assert text.endswith("(see taskgan simulate pet --help)\n")


def message(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["taskgan", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


def test_a_group_without_a_command_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["taskgan", "simulate"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr()
    assert "Commands:" in shown.out + shown.err
