"""``taskgan report --checklist``: a reporting guideline, filled from the files of a run."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, read_yaml, write_text
from taskgan.core.parse import error_text, parse_yaml, truncated
from taskgan.page.cells import interval_text
from taskgan.page.style import render_template
from taskgan.stats import Interval

_HEADER = "| item | section | what is asked for | what the files say |\n| --- | --- | --- | --- |"
Answer = tuple[str, str, str]


def checklist(name: str, folders: Sequence[PathLike], out: PathLike, *, overwrite: bool = False) -> Path:
    """Write a checklist with what the folders' files say of each item, and which file says it.

    Args:
        name: ``claim`` or ``relaince`` (``report/templates/checklists.yaml``).
        folders: Cohort, runs, evaluations, audits, reports: files are looked for there and one folder below.
        out: File to write, ``.md`` or ``.html``.
        overwrite: Replace an existing one.

    Raises:
        UserError: If the guideline is unknown, no folder holds a file that fills anything, a file is unreadable or
            ``out`` is there already.
    """
    texts = resources.files("taskgan.report") / "templates" / "checklists.yaml"
    guidelines, out = parse_yaml(texts.read_text(encoding="utf-8"), texts.name), Path(out)
    if name not in guidelines:
        raise UserError(f"--checklist {name}: expected one of {', '.join(guidelines)}")
    if out.suffix not in (".md", ".html"):
        raise UserError(f"{out} is no file to write a checklist to: expected one that ends in .md or .html")
    if out.exists() and not overwrite:
        raise UserError(f"{out} already exists; say --overwrite to replace it")
    guideline = guidelines[name]
    wanted = {source.partition(":")[0] for _, _, *sources in guideline["items"].values() for source in sources}
    read = {name: _read_all(name, [Path(folder) for folder in folders]) for name in wanted}
    if not any(read.values()):
        found, files = ", ".join(map(str, folders)), ", ".join(sorted(wanted))
        raise UserError(f"{found} and the folders below hold none of {files}; expected folders that taskgan made")
    items = [
        (number, section, text, [one for source in sources for one in _answers(source, read, out.parent)])
        for number, (section, text, *sources) in guideline["items"].items()
    ]
    filled = f"{sum(bool(answers) for *_, answers in items)} of {len(items)} items"
    if out.suffix == ".html":
        words = {"title": guideline["title"], "note": guideline["note"], "filled": filled, "nothing": "not done"}
        write_text(out, render_template("taskgan.report", "checklist.html", items=items, **words))
        return out
    lines = [f"# {guideline['title']}\n\n{guideline['note']} Filled: {filled}.\n\n{_HEADER}"]
    for number, section, text, answers in items:
        said = "<br>".join(f"{where}: {value} (`{path}`)".replace("|", "\\|") for path, where, value in answers)
        lines.append(f"| {number} | {section} | {text} | {said or 'not done'} |")
    write_text(out, "\n".join(lines) + "\n")
    return out


def _read_all(name: str, folders: Sequence[Path]) -> list[tuple[Path, Any]]:
    paths = dict.fromkeys(path for folder in folders for place in (name, f"*/{name}") for path in folder.glob(place))
    try:
        return [(p, json.loads(p.read_text("utf-8")) if p.suffix == ".json" else read_yaml(p)) for p in sorted(paths)]
    except (OSError, ValueError) as error:
        raise UserError(f"a {name} cannot be read ({error_text(error)}), expected what taskgan writes") from None


def _answers(source: str, read: Mapping[str, Sequence[tuple[Path, Any]]], base: Path) -> Iterator[Answer]:
    """File as seen from ``base``, key and value of all that a source, ``FILE:KEY``, says."""
    name, _, key = source.partition(":")
    for path, values in read[name]:
        for where, value in _lookup(values, key):
            yield Path(os.path.relpath(path.resolve(), base.resolve())).as_posix(), where, _text(value)


def _lookup(values: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Values that are not empty under a key with dots, where ``*`` is every name."""
    first, _, rest = key.partition(".")
    own = values if isinstance(values, Mapping) else {}
    for name in own if first == "*" else (first,):
        if rest:
            yield from ((f"{name}.{where}", value) for where, value in _lookup(own.get(name), rest))
        elif own.get(name) not in (None, "", [], {}):
            yield str(name), own[name]


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() == {"estimate", "low", "high"}:
        return interval_text(Interval(**{k: float("nan" if v is None else v) for k, v in value.items()}), 3)
    return truncated(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
