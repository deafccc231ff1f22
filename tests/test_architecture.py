"""Imports point down the floors of docs/architecture.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import taskgan

ROOT = Path(taskgan.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
VERBS = {
    "simulate",
    "prepare",
    "train",
    "restore",
    "evaluate",
    "audit",
    "info",
    "release",
    "report",
    "sweep",
    "limit",
    "node",
    "readers",
}
RUNS_VERBS = {"sweep": VERBS, "limit": {"restore"}, "report": {"evaluate"}, "node": {"restore"}}


def floors() -> dict[str, int]:
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: int(number) for number, names in rows for room in re.findall(r"`(\w+)`", names)}


def arrows() -> Iterator[tuple[str, str, str]]:
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if len(parts) < 2:
            continue  # the door and __main__ may name every room
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("taskgan."):
                target = str(node.module).split(".")[1]
                if target != parts[0]:
                    yield parts[0], target, f"{'/'.join(parts)}:{node.lineno}"


def test_every_room_has_a_floor() -> None:
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms == set(floors())


def test_imports_point_down_and_no_verb_imports_another() -> None:
    floor = floors()
    upward = [f"{where}: {a} -> {b}" for a, b, where in arrows() if floor[a] <= floor[b]]
    assert not upward
    crossing = [
        f"{where}: {a} -> {b}"
        for a, b, where in arrows()
        if a in VERBS and b in VERBS and b not in RUNS_VERBS.get(a, set())
    ]
    assert not crossing


def test_no_class_name_means_two_things() -> None:
    places: dict[str, list[str]] = {}
    for path in ROOT.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_documents_name_modules_and_files_that_are_there() -> None:
    pages = [PAGE.parents[1] / "README.md", PAGE.parents[1] / "CONTRIBUTING.md", *PAGE.parent.glob("*.md")]
    absent = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for dotted in set(re.findall(r"\btaskgan((?:\.[a-z_]\w*)+\.\w+)", text)):
            if not _is_there(dotted.strip(".").split(".")):
                absent.append(f"{page.name}: taskgan{dotted}")
        for path in set(re.findall(r"src/taskgan/[\w/]+\.(?:py|yaml)", text)):
            if not (PAGE.parents[1] / path).is_file():
                absent.append(f"{page.name}: {path}")
    assert not absent


def _is_there(parts: list[str]) -> bool:
    """Whether a module, or a name at the top of one, is there, without importing it."""
    for cut in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:cut])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.is_file():
            names = {
                name
                for node in ast.parse(file.read_text(encoding="utf-8")).body
                for name in [getattr(node, "name", "")]
                + [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
                + [alias.asname or alias.name for alias in getattr(node, "names", [])]
            }
            return cut == len(parts) or parts[cut] in names
    return False
