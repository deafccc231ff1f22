"""What ``taskgan`` runs: the app, and how what goes wrong becomes one message and an exit code."""

import logging
import signal
import sys
from pathlib import Path
from typing import Any

from taskgan.cli.app import app
from taskgan.cli.usage import UsageError, is_help, usage_sentence
from taskgan.core.console import discard_output, printable, tolerate_ascii_consoles, write
from taskgan.core.errors import Failed, Terminated, UserError, disk_error, disk_error_text
from taskgan.memory import out_of_memory

BAD_INPUT, UNFINISHED, OUR_FAULT, INTERRUPTED, TERMINATED = 2, 3, 70, 130, 143


def main() -> None:
    """Run the command line; every error ends with one message and an exit code (``docs/exit-codes.md``)."""
    tolerate_ascii_consoles()
    before = signal.signal(signal.SIGTERM, _terminate)
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
    if message:
        write(sys.stderr, printable(message) + "\n")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            discard_output(stream)
    sys.exit(code)


_INTERRUPTED = "taskgan: interrupted; nothing half-written is left, call it again to go on"


def _terminate(*_: Any) -> None:
    raise Terminated("ended by SIGTERM")


def error_message(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code.

    An error that nobody foresaw gets a report beside the output (:mod:`taskgan.cli.crash`).
    """
    if isinstance(error, Terminated):
        return f"taskgan: {error}; nothing half-written is left, call it again to go on", TERMINATED
    if isinstance(error, UsageError):
        return (str(error) if is_help(error) else usage_sentence(error)), BAD_INPUT
    if isinstance(error, UserError):
        return f"taskgan: {error}", UNFINISHED if isinstance(error, Failed) else BAD_INPUT
    full = disk_error(error)
    if full is not None:
        return f"taskgan: {disk_error_text(full)}", UNFINISHED
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "taskgan").partition(".")[0]
        if package not in ("taskgan", *sys.stdlib_module_names):
            needs = f"taskgan: this needs {error.name}, which is not here: pip install 'taskgan[all]'"
            return needs, BAD_INPUT
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or error
        return f"taskgan: {_path_of(error)} cannot be read or written: {reason}", BAD_INPUT
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
