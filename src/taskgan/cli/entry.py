"""What ``taskgan`` runs: the app, and how what goes wrong becomes one message and an exit code."""

import difflib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from taskgan.cli.app import app
from taskgan.cli.crash import problems_text
from taskgan.core.console import discard_output, printable, tolerate_ascii_consoles, write
from taskgan.core.errors import (
    Failed,
    Problems,
    Terminated,
    UserError,
    disk_error,
    disk_error_text,
    out_of_memory,
    short_words,
)

# The parser's base class of such errors has no public name; its neighbours in the hierarchy have.
UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


def usage_sentence(error: Any) -> str:
    """What is wrong and where the help is, e.g. ``taskgan train: missing argument RUN (see taskgan train --help)``.

    Args:
        error: A :data:`UsageError`.
    """
    command = error.ctx.command_path if error.ctx is not None else "taskgan"
    return f"{command}: {_problem(error)} (see {command} --help)"


def is_help(error: Any) -> bool:
    """Whether it is no error but the help of a command that was called without anything."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _problem(error: Any) -> str:
    if hasattr(error, "possibilities"):
        return f"unknown option {error.option_name}{_nearest(error.option_name, _options(error.ctx))}"
    if getattr(error, "param", None) is not None:
        return _parameter(error)
    text = str(error.format_message()).rstrip(".")
    extra = re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", text)
    if extra:
        return f"unexpected argument {extra[1]}"
    unknown = re.match(r"No such command '(.*?)'", text)
    if unknown:
        known = list(getattr(error.ctx.command, "commands", ()))
        hint = _nearest(unknown[1], known) or f", expected one of {', '.join(known)}"
        return f"unknown command {unknown[1]}{hint}"
    return text[:1].lower() + text[1:]


def _parameter(error: Any) -> str:
    """Of an argument or option that is missing or has a value that it cannot have."""
    if hasattr(error, "param_type"):
        if error.param.param_type_name == "option":
            return f"missing option {_name(error.param)}"
        # Arguments are read in order: where one is missing, so are those after it.
        own = [p for p in error.ctx.command.params if p.param_type_name == "argument" and p.required]
        absent = [_name(param) for param in own[own.index(error.param) :]]
        return f"missing argument{'s' * (len(absent) > 1)} {', '.join(absent)}"
    message = str(error.message).rstrip(".").partition(", unable to parse")[0]
    details = getattr(error.__cause__, "errors", None)
    received = f", found {details()[0]['input']!r}" if details is not None else ""
    return f"{_name(error.param)}: {message[:1].lower()}{message[1:]}{received}"


def _name(param: Any) -> str:
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.name).upper()


def _options(ctx: Any) -> list[str]:
    return [*(name for param in ctx.command.params for name in param.opts if name.startswith("--")), "--help"]


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


BAD_INPUT, UNFINISHED, OUR_FAULT, INTERRUPTED, TERMINATED = 2, 3, 70, 130, 143


def main() -> None:
    """Run the command line; every error ends with one message and an exit code (``docs/exit-codes.md``)."""
    tolerate_ascii_consoles()
    before, hook = signal.signal(signal.SIGTERM, _terminate), sys.unraisablehook
    sys.unraisablehook = _repeat_lost_signal
    message, code = "", 0
    try:
        code = app(prog_name="taskgan", standalone_mode=False)
        message = _INTERRUPTED if code == INTERRUPTED else ""
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        discard_output(sys.stdout)  # nobody reads what was asked for any more
    except (Exception, Terminated) as error:
        message, code = error_message(error)
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = hook
    if message:
        write(sys.stderr, printable(message) + "\n")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            discard_output(stream)
    sys.exit(code)


_INTERRUPTED = "taskgan: interrupted; nothing half-written is left, call it again to go on"


def _repeat_lost_signal(lost: Any) -> None:
    """A signal that came where Python drops exceptions, such as in a destructor, comes again a moment later."""
    number = {Terminated: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}.get(lost.exc_type)
    if number is None:
        sys.__unraisablehook__(lost)
    else:
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()


def _terminate(*_: Any) -> None:
    raise Terminated("ended by SIGTERM")


def _signal_behind(error: BaseException | None) -> BaseException | None:
    """The signal that an error is, or was made of: libraries turn what comes while they work into their own errors."""
    while error is not None and not isinstance(error, KeyboardInterrupt | Terminated):
        error = error.__cause__ or error.__context__
    return error


def error_message(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code.

    An error that nobody foresaw gets a report beside the output (:mod:`taskgan.cli.crash`).
    """
    stop = _signal_behind(error)
    if isinstance(stop, KeyboardInterrupt):
        return _INTERRUPTED, INTERRUPTED
    if stop is not None:
        return f"taskgan: {stop}; nothing half-written is left, call it again to go on", TERMINATED
    if isinstance(error, UsageError):
        return (str(error) if is_help(error) else usage_sentence(error)), BAD_INPUT
    if isinstance(error, UserError):
        text = problems_text(error) if isinstance(error, Problems) and error.is_long else str(error)
        return f"taskgan: {text}", UNFINISHED if isinstance(error, Failed) else BAD_INPUT
    full = disk_error(error)
    if full is not None:
        return f"taskgan: {short_words(disk_error_text(full))}", UNFINISHED
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "taskgan").partition(".")[0]
        if package not in ("taskgan", *sys.stdlib_module_names):
            return f"taskgan: this needs {error.name}, which is not here: pip install 'taskgan[all]'", BAD_INPUT
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or error
        return f"taskgan: {short_words(_path_of(error))} cannot be read or written: {reason}", BAD_INPUT
    memory = out_of_memory(error)
    if memory is not None:
        return (
            f"taskgan: {memory}; a smaller batch or fewer workers need less. What was finished is kept: call it again"
        ), UNFINISHED
    from taskgan.cli.crash import write_crash_report

    logging.getLogger("taskgan").info("unforeseen error", exc_info=error)
    return f"taskgan: {write_crash_report(error)}", OUR_FAULT


def _path_of(error: OSError) -> str:
    place = Path(str(error.filename))
    # A temporary name means nothing to the reader: the folder is what could not be written to.
    return str(place.parent if place.name.startswith(".") else place)
