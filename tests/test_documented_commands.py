"""Every ``taskgan`` command that a document shows is one that the command line understands, with those options."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from taskgan.cli import app
from taskgan.recipe import read_recipe

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("results/**/*.md")])
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
START = re.compile(r"(?<![\w./-])taskgan(?=\s+[a-z])")
PROSE = re.compile(
    START.pattern + r"\s+((?:simulate |prepare |demo |node |readers )?[a-z]+)"
)  # a comment has no quotes to close


@dataclass(frozen=True)
class Shown:
    """A command in a document; ``whole`` if it is meant to be run as it stands, not to be talked about."""

    document: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.document}: taskgan {shlex.join(self.words)}"


def shown_in(document: Path) -> list[Shown]:
    text = document.read_text(encoding="utf-8")
    name = document.relative_to(ROOT).as_posix()
    found = []
    for block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            code, _, comment = line.partition(" #")
            found += [Shown(name, words, True) for words in commands(code)]
            found += [Shown(name, tuple(verb.split()), False) for verb in PROSE.findall(comment)]
    for code in INLINE.findall(FENCED.sub("", text)):
        for words in commands(" ".join(code.split())):
            found.append(Shown(name, words, len(words) > 2 and "…" not in words))
    return found


def commands(code: str) -> list[tuple[str, ...]]:
    """The words after every ``taskgan`` in a line of shell, up to what ends a command there."""
    found = []
    for start in START.finditer(code):
        quote = code[start.start() - 1] if start.start() and code[start.start() - 1] in "'\"" else ""
        rest = code[start.end() :]
        rest = rest.split(quote)[0] if quote else re.split(r" && | \|\|? |;|\)$", rest)[0]
        found.append(tuple(shlex.split(rest)))
    return found


def resolve(words: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The command that words name, and what is left of them."""
    command: Any = typer.main.get_command(app)
    left = list(words)
    while hasattr(command, "commands") and left and not left[0].startswith("-"):
        name = left.pop(0).rstrip(".,:;")
        assert name in command.commands, f"no command {name!r}"
        command = command.commands[name]
    return command, left


ALL = [one for document in DOCUMENTS for one in shown_in(document)]


@pytest.mark.parametrize("shown", ALL, ids=str)
def test_a_documented_command_exists_with_its_options(shown: Shown) -> None:
    command, left = resolve(shown.words)
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
    assert {word.split("=")[0] for word in left if re.match(r"--?[a-z]", word)} <= known
    if not shown.whole:
        return
    alone = getattr(command, "invoke_without_command", True)
    assert not hasattr(command, "commands") or alone, "a group of commands does nothing by itself"
    values = command.make_context(shown.words[0], left).params  # raises what a user would be told
    recipe = values.get("recipe")
    if recipe and re.fullmatch(r"[a-z-]+", recipe):
        read_recipe(recipe, values.get("overrides") or ())


@pytest.mark.parametrize("name", ["README.md", "docs/sweep.md", "docs/audit.md", "docs/task-kinds.md"])
def test_documents_that_show_commands_are_read(name: str) -> None:
    assert sum(one.whole for one in ALL if one.document == name) >= 2


def test_what_a_document_shows_is_found_wherever_it_stands(tmp_path: Path) -> None:
    line = "id=$(sbatch --wrap 'taskgan sweep a b --only $X/3') && taskgan info out | head"
    assert commands(line) == [("sweep", "a", "b", "--only", "$X/3"), ("info", "out")]
    assert commands("from taskgan.cli import main; pip install taskgan") == []


@pytest.mark.parametrize(
    ("words", "error"), [(("trian", "x"), "no command 'trian'"), (("prepare", "nothing"), "no command 'nothing'")]
)
def test_a_command_that_does_not_exist_is_noticed(words: tuple[str, ...], error: str) -> None:
    with pytest.raises(AssertionError, match=error):
        resolve(words)
