"""Pages whose code is run when they are made: what it prints stands below it, its picture beside it."""

import contextlib
import io
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.core.files import value_digest

_BLOCK = re.compile(r"^```(bash|python) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PACKAGE = Path(__file__).parents[2] / "src" / "taskgan"


def run_gallery(pages: Path, out: Path, cache: Path, *, run: bool = True) -> None:
    """Make all pages, in the order in which they need each other's files.

    Args:
        pages: Their sources.
        out: Where pages and pictures go.
        cache: Where the code works, and results are kept while neither pages nor package change.
        run: Run the code; else it is only shown.
    """
    sources = {path.stem: path.read_text(encoding="utf-8") for path in sorted(pages.glob("*.md"))}
    code = {path.relative_to(_PACKAGE).as_posix(): path.stat().st_size for path in sorted(_PACKAGE.rglob("*.py"))}
    done = cache / value_digest({"pages": sources, "package": code}) / "pages"
    if run and not done.is_dir():
        shutil.rmtree(cache, ignore_errors=True)
        work = cache / "work"
        work.mkdir(parents=True)
        for name in sorted(sources, key=lambda name: name != "pet"):  # it simulates the cohort of the others
            text = executed(sources[name], work, name)
            (work / "made").mkdir(exist_ok=True)
            (work / "made" / f"{name}.md").write_text(text, encoding="utf-8")
        done.parent.mkdir(parents=True)
        (work / "made").rename(done)
        shutil.rmtree(work)
    for name, text in sources.items():
        made = done / f"{name}.md"
        plain = re.sub(r"^!\[.*\n", "", _BLOCK.sub(r"```\1\n\2```", text), flags=re.MULTILINE)
        (out / f"{name}.md").write_text(made.read_text(encoding="utf-8") if run else plain, encoding="utf-8")
        if run:
            shutil.copy(done / f"{name}.png", out / f"{name}.png")


def executed(text: str, work: Path, name: str) -> str:
    """A page with what its blocks print, and its picture in ``made/NAME.png`` of the folder that it works in."""
    names: dict[str, Any] = {"panels": lambda images: panels(images, work / "made" / f"{name}.png")}

    def block(match: re.Match[str]) -> str:
        kind, code = match[1], match[2]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), inside(work):
            if kind == "python":
                exec(compile(code, f"docs/gallery/{name}.md", "exec"), names)
            else:
                for line in code.splitlines():
                    call(line)
        shown = "\n".join(re.sub(r"\bpanels\(.*\)$", "", code, flags=re.MULTILINE).rstrip().splitlines())
        result = f"\n\n```text\n{printed.getvalue().strip()}\n```" if printed.getvalue().strip() else ""
        return f"```{kind}\n{shown}\n```{result}"

    return _BLOCK.sub(block, text)


def call(line: str) -> None:
    """One command of taskgan, in this process: what is heavy is imported once."""
    from taskgan.cli import app

    program, *arguments = shlex.split(line)
    assert program == "taskgan", line
    app(arguments, prog_name="taskgan", standalone_mode=False)


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder for the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def panels(images: dict[str, Any], path: Path) -> None:
    """The middle slices of volumes side by side, all in one window; differences in their own, red and blue."""
    from matplotlib.figure import Figure

    path.parent.mkdir(exist_ok=True)
    figure = Figure(figsize=(2.4 * len(images), 2.9), layout="constrained")
    top = max(float(np.percentile(image, 99.7)) for name, image in images.items() if " − " not in name)
    for place, (name, image) in enumerate(images.items(), start=1):
        axis = figure.add_subplot(1, len(images), place)
        plane = np.asarray(image)[:, :, image.shape[2] // 2].T
        window = {"cmap": "RdBu_r", "vmin": -top / 2, "vmax": top / 2} if " − " in name else {"cmap": "gray"}
        axis.imshow(plane, origin="lower", **({"vmin": 0, "vmax": top} | window))
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    figure.savefig(path, dpi=110)
