"""The suite itself: it knows every command, its faults fall where they should, and it sees what goes wrong."""

import json
import os
import random
import signal
from pathlib import Path

import pytest

from chaos.__main__ import sentence
from chaos.commands import COMMANDS, EXEMPT, command_names
from chaos.faults import Faults
from chaos.mutate import mutate
from chaos.readers import problem_of
from chaos.trials import Child, Ended, differences, sentence_problem
from taskgan.cli.app import VERBS
from taskgan.core.errors import UserError
from taskgan.core.files import write_text


def test_every_command_of_the_command_line_has_an_entry() -> None:
    names = set(command_names(VERBS))
    assert "prepare mr" in names
    assert names <= {*COMMANDS, *EXEMPT}, "add the new command to tests/chaos/commands.py"
    assert {name for name in EXEMPT if not name.startswith("demo")} <= names
    for command in COMMANDS.values():
        assert command.arguments[0] in VERBS


def test_the_readme_quotes_the_published_counts() -> None:
    root = Path(__file__).parents[2]
    published = json.loads((root / "results" / "chaos" / "counts.json").read_text())
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    assert sentence(published) in text, sentence(published)


def test_a_child_dies_at_the_operation_that_was_chosen(tmp_path: Path) -> None:
    """Of one atomic write; before the rename the old text stands, after it the new one."""
    place = tmp_path / "place"
    place.mkdir()
    report, texts = tmp_path / "count", []

    def work(at: int) -> int:
        Faults(place, at, report).install()
        write_text(place / "a.txt", "new" * 9)
        return 0

    assert Child(lambda: work(0), place).wait().code == 0
    operations = int(report.read_text())
    for at in range(1, operations + 1):
        (place / "a.txt").write_text("old")
        assert Child(lambda at=at: work(at), place).wait().code == -signal.SIGKILL  # type: ignore[misc]
        texts.append((place / "a.txt").read_text())
    assert set(texts) == {"old", "new" * 9}
    assert texts == sorted(texts, reverse=True)


def test_an_ending_without_a_sentence_is_seen() -> None:
    assert not sentence_problem(Ended(2, 1.0, "taskgan: x is no image", 10))
    for code, seconds, text in ((70, 1, ""), (-11, 1, ""), (0, 601, ""), (2, 1, "Traceback (most recent call last)")):
        assert sentence_problem(Ended(code, seconds, text, 10))
    assert sentence_problem(Ended(0, 61.0, "", 10, cpu=61.0))
    assert not sentence_problem(Ended(0, 200.0, "", 10, cpu=20.0)), "a busy machine is no fault"
    assert sentence_problem(Ended(0, 1.0, "", 3 * 2**30))
    assert differences({"a": "1", "b": "2"}, {"a": "1", "c": "2"}) == ["b", "c"]


@pytest.mark.parametrize(("error", "wrong"), [(UserError("x"), False), (KeyError("x"), True), (MemoryError(), True)])
def test_a_reader_ends_in_success_or_a_sentence(error: Exception, wrong: bool) -> None:
    def read() -> None:
        raise error

    assert bool(problem_of(read)) == wrong
    assert not problem_of(lambda: None)


@pytest.mark.parametrize(("text", "wrong"), [("row\n" * 200, False), ("row\n" * 300, True), ("a b " * 3000, False)])
def test_a_list_of_problems_is_as_long_as_they_are_many(text: str, wrong: bool) -> None:
    def read() -> None:
        raise UserError(text)

    assert bool(problem_of(read)) == wrong


@pytest.mark.parametrize("suffix", [".nii", ".gz", ".png", ".jpg", ".tif", ".dcm", ".yaml", ".csv", ".json", ".mat"])
def test_damage_is_the_same_for_the_same_seed_and_is_damage(suffix: str) -> None:
    raw = os.urandom(64) + b'{"a": [1, {"b": 2}]}\na: 1\nb,c\n1,2\n' + os.urandom(400)
    damaged = [mutate(suffix, raw, random.Random(seed)) for seed in range(20)]
    assert damaged == [mutate(suffix, raw, random.Random(seed)) for seed in range(20)]
    assert sum(one != raw for one in damaged) > 10
