"""What a message has no room for, as a file: an error that nobody foresaw (without a word of the data), or many
problems."""

import linecache
import platform
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

from taskgan.core.errors import Problems
from taskgan.core.files import versions

_WORD_PATTERN = re.compile(r"[^\W\d_]+|\d{4,}")
_PATH_PATTERN = re.compile(r"[^\s'\"(),:]*[/\\][^\s'\"(),:]*")


def write_crash_report(error: BaseException) -> str:
    """Write ``taskgan-crash-….txt`` beside the output of the work that failed and say where it is.

    Of messages, which may quote names of patients and files, only words stay that the code itself uses.

    Returns:
        A sentence.
    """
    doing = str(getattr(error, "doing", "")) or "working"
    what = f"{_command_name()} failed while {doing}" if doing == "working" else f"{_command_name()} failed ({doing})"
    text = "\n".join(
        [
            f"{_command_name()} failed; progress: {_without_names(doing, _vocabulary(error))}",
            f"{platform.platform()}, " + ", ".join(f"{name} {v}" for name, v in versions().items()),
            "",
            *_lines(error),
            "",
        ]
    )
    path = _write(text, getattr(error, "output", None), "crash")
    kind = type(error).__name__
    if path is None:
        return f"{what}, by an error of taskgan itself ({kind}); call it with -v to see it"
    return f"{what}, by an error of taskgan itself ({kind}); please report it with {path}, which holds no names"


def _command_name() -> str:
    """Verb and sub-command, without arguments."""
    from taskgan.cli.app import VERBS

    arguments = [word for word in sys.argv[1:3] if not word.startswith("-")]
    command = [word for word in arguments[:1] if word in VERBS]
    groups = ("simulate", "prepare", "models", "demo", "node")
    subcommand = [word for word in arguments[1:2] if command and command[0] in groups]
    return " ".join(["taskgan", *command, *subcommand])


def problems_text(error: Problems) -> str:
    """The first problems, and where all of them are: ``taskgan-problems-….txt`` beside the output."""
    path = _write(error.listing(None) + "\n", getattr(error, "output", None), "problems")
    return error.listing(place=str(path)) if path is not None else error.listing(None)


def _write(text: str, output: Path | None, kind: str) -> Path | None:
    name = time.strftime(f"taskgan-{kind}-%Y%m%d-%H%M%S.txt")
    for folder in (output.parent if output is not None else Path(), Path(), Path(tempfile.gettempdir())):
        try:
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return folder / name
    return None


def _lines(error: BaseException) -> list[str]:
    """Every error of the chain, the first cause first: frames with their lines of code, then kind and message."""
    lines = []
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        lines += [*_lines(before), "which led to:"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines += [f"  {_source_location(frame.filename)}:{frame.lineno} in {frame.name}", f"    {frame.line}"]
    message = _without_names(str(error), _vocabulary(error))
    return [*lines, f"{type(error).__name__}: {message}"]


def _source_location(filename: str) -> str:
    """A file of code, as seen from the folder of its package: what is above tells whose machine it is."""
    parts = Path(filename).parts
    for root in ("site-packages", "src", "lib"):
        if root in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(root) :])
    return parts[-1]


def _vocabulary(error: BaseException) -> set[str]:
    """Words of the code that the error came through."""
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    return {w for file in files for line in linecache.getlines(file) for w in _WORD_PATTERN.findall(line)}


def _without_names(message: str, known: set[str]) -> str:
    short = _PATH_PATTERN.sub("[path]", message)
    return _WORD_PATTERN.sub(lambda w: w[0] if w[0] in known or w[0] == "path" else "[…]", short)
