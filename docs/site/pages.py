"""Assemble the pages of the site (mkdocs.yml) in build/docs/pages; ``make docs`` calls it and mkdocs after it.

Pages are those of docs/, with links out of it turned to copies of what they name. The reference is made of the
command line (typer), the recipe (pydantic) and docstrings; concepts quote the source by name; the gallery is run.
"""

import argparse
import inspect
import io
import os
import re
import shutil
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

import typer.main
from gallery import run_gallery
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import taskgan
from taskgan.cli import app
from taskgan.recipe import Recipe, shipped_recipes

ROOT = Path(__file__).parents[2]
DOCS, PAGES = ROOT / "docs", ROOT / "build" / "docs" / "pages"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")
_SOURCE = re.compile(r"<!-- source: (\S+) -->")
_EQUATION = re.compile(r"<!-- equation: \$(.*?)\$ -->")


def main() -> None:
    """Make all pages anew; what the gallery printed is kept while neither it nor the package has changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-gallery", action="store_true", help="show the gallery's code, run nothing")
    asked = parser.parse_args()
    shutil.rmtree(PAGES, ignore_errors=True)
    (PAGES / "reference").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "style.css", PAGES / "style.css")
    for page in sorted(DOCS.glob("*.md")):
        write(page.name, quoted(with_links(page.read_text(encoding="utf-8"), page)))
    write("index.md", with_links((ROOT / "README.md").read_text(encoding="utf-8"), ROOT / "README.md"))
    write("reference/commands.md", commands())
    write("reference/recipes.md", recipes())
    write("reference/api.md", api())
    (PAGES / "gallery").mkdir()
    run_gallery(DOCS / "gallery", PAGES / "gallery", ROOT / "build" / "docs" / "gallery", run=not asked.no_gallery)


def write(name: str, text: str) -> None:
    """Write a page."""
    target = PAGES / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def with_links(text: str, page: Path) -> str:
    """Turn links out of docs/ to copies: pages and pictures as they are, code and folders as pages that show them."""

    def turned(match: re.Match[str]) -> str:
        mark, label, link, anchor = match[1], match[2], match[3], match[4] or ""
        if "://" in link:
            return match[0]
        place = (page.parent / link).resolve()
        if not place.exists():
            raise SystemExit(f"{page.relative_to(ROOT)}: {link} is not there")
        target = copied(place)
        start = PAGES / ("index.md" if page.name == "README.md" and page.parent == ROOT else page_name(page))
        return f"{mark}[{label}]({os.path.relpath(PAGES / target, start.parent)}{anchor})"

    return _LINK.sub(turned, text)


def page_name(place: Path) -> str:
    """Where a file of the repository lies among the pages."""
    if place.parent == DOCS:
        return place.name
    if place == ROOT / "README.md":
        return "index.md"
    return f"repository/{place.relative_to(ROOT).as_posix()}"


def copied(place: Path) -> str:
    """See that a linked file or folder is among the pages; its name there."""
    if place.parent == DOCS / "gallery":
        return f"gallery/{place.name}"
    if place.is_dir():
        if (place / "README.md").is_file():
            return copied(place / "README.md")
        name = f"{page_name(place)}/files.md"
        if not (PAGES / name).exists():
            files = "\n".join(f"- {path.name}" for path in sorted(place.iterdir()))
            write(name, f"# {place.relative_to(ROOT)}\n\n{files}\n")
        return name
    name = page_name(place)
    if place.suffix == ".md" and place.parent not in (DOCS, ROOT):
        if not (PAGES / name).exists():
            write(name, "")  # it may link back to itself
            write(name, with_links(place.read_text(encoding="utf-8"), place))
    elif place.suffix == ".md" and place.parent == ROOT and name != "index.md":
        write(name, with_links(place.read_text(encoding="utf-8"), place)) if not (PAGES / name).exists() else None
    elif place.suffix in (".png", ".gif", ".svg", ".jpg"):
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place, PAGES / name)
    elif place.suffix != ".md":
        code = place.read_text(encoding="utf-8")
        name += ".md"
        write(name, f"# {place.relative_to(ROOT)}\n\n````{place.suffix[1:]}\n{code}````\n")
    return name


def quoted(text: str) -> str:
    """Put equations and source in the place of the comments that name them."""
    return _SOURCE.sub(lambda match: source(match[1]), _EQUATION.sub(lambda match: equation(match[1]), text))


def source(name: str) -> str:
    """The code of a function, by its dotted name, without its docstring."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            thing: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        break
    thing = thing.fget if isinstance(thing, property) else thing
    code = inspect.cleandoc("\n" + inspect.getsource(thing))
    first, _, rest = (inspect.getdoc(thing) or "").partition("\n\n")
    code = re.sub(r'\n    """.*?"""', "", code, count=1, flags=re.DOTALL)
    code = re.sub(r'\n        """.*?"""', "", code, count=1, flags=re.DOTALL) if '"""' in code else code
    note = f"\n\n{rest.split(chr(10) + chr(10))[0]}" if rest and not rest.startswith("Args") else ""
    return f"`{name}`: {first}{note}\n\n```python\n{code}\n```"


def equation(text: str) -> str:
    """An equation as a picture in the page: mathtext needs no script and no font from elsewhere."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.01, 0.01))
    figure.text(0, 0, f"${text}$", fontsize=15)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace("\n", " ")
    return f'<div class="equation" role="math" aria-label="{text.replace(chr(34), "")}">{svg}</div>'


def commands() -> str:
    """Every command with its arguments and options, from the command line itself."""
    lines = ["# Commands", "", "Made from the command line itself; `taskgan VERB --help` says the same.", ""]

    def visit(command: Any, words: list[str]) -> None:
        if getattr(command, "commands", None):
            for name in command.list_commands(None):
                visit(command.commands[name], [*words, name])
            return
        lines.extend([f"## {' '.join(words)}", "", command.help or "", "", "| | | default |", "| --- | --- | --- |"])
        for param in command.params:
            option = param.param_type_name == "option"
            name = ", ".join(param.opts) if option else str(param.name).upper()
            default = param.default if option and str(param.default) not in ("None", "False", "()", "[]") else ""
            default = "required" if param.required else default
            lines.append(f"| `{name}` | {escaped(getattr(param, 'help', '') or '')} | {escaped(str(default))} |")
        lines.append("")

    visit(typer.main.get_command(app), ["taskgan"])
    return "\n".join(lines)


def recipes() -> str:
    """Every setting, its type and default, from the models that check recipes; then the recipes that ship."""
    lines = ["# Recipes", "", "Every setting with its default. Change one with `--set section.key=value`.", ""]
    seen: set[type[BaseModel]] = set()

    def visit(model: type[BaseModel], path: str) -> None:
        if model in seen:
            return
        seen.add(model)
        about, texts = described(model)
        lines.extend([f"## {path or 'The recipe'}", "", about, "", "| key | default | |", "| --- | --- | --- |"])
        below: list[tuple[type[BaseModel], str]] = []
        for name, field in model.model_fields.items():
            own = [one for one in nested(field.annotation) if one not in seen]
            several = len(own) > 1
            below += [(one, f"{path}.{name}".strip(".") + f": {one.__name__}" * several) for one in own]
            default = field.default if field.default is not PydanticUndefined else field.default_factory and "empty"
            shown = "section" if isinstance(default, BaseModel) else str(default)
            lines.append(f"| `{name}` | {escaped(shown)} | {escaped(texts.get(name, ''))} |")
        lines.append("")
        for one, place in below:
            visit(one, place)

    visit(Recipe, "")
    for name in shipped_recipes():
        text = (Path(taskgan.__file__).parent / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
        lines += [f"## Recipe {name}", "", f"```yaml\n{text}```", ""]
    return "\n".join(lines)


def nested(annotation: Any) -> list[type[BaseModel]]:
    """The models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in nested(part)]


def described(model: Any) -> tuple[str, dict[str, str]]:
    """A docstring's text, and what its section Attributes says of each."""
    text, _, rest = (inspect.getdoc(model) or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", rest, re.MULTILINE | re.DOTALL)
    return text.strip(), {name: " ".join(value.split()) for name, value in entries}


def api() -> str:
    """Every public name with its signature and docstring."""
    lines = ["# Python", "", "What `import taskgan` offers. A notebook of ten lines: [Python](../python.md).", ""]
    for name in taskgan.__all__:
        thing = getattr(taskgan, name)
        if name.startswith("__"):
            continue
        try:
            signature = str(inspect.signature(thing))
        except (TypeError, ValueError):
            signature = ""
        signature = re.sub(r"taskgan(\.\w+)+\.", "", signature)
        shown = thing._function if hasattr(type(thing), "_function") else thing
        lines += [f"## {name}", "", f"```python\n{name}{signature}\n```", "", docstring(inspect.getdoc(shown) or "")]
    return "\n".join(lines)


def docstring(text: str) -> str:
    """Google's sections as lists; references to names as code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    lines = []
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Attributes):", line):
            lines += ["", f"**{line[:-1]}**", ""]
        elif entry := re.match(r"    (\w+): (.*)", line):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        else:
            lines.append(line.strip() if not line.startswith("        ") else f"  {line.strip()}")
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`").replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    main()
