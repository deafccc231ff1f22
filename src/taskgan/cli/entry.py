"""What ``taskgan`` runs: the app, and how what goes wrong becomes one message and an exit code."""

import sys
from pathlib import Path

from taskgan.cli.app import app
from taskgan.cli.usage import UsageError, is_help, sentence
from taskgan.core.errors import Failed, UserError
from taskgan.memory import out_of_memory

_INTERRUPTED = 130  # what typer exits with after Ctrl-C


def main() -> None:
    """Run the command line. Bad input: one message, exit code 2. Work that failed half-way: exit code 3."""
    try:
        code = app(prog_name="taskgan", standalone_mode=False)
    except UsageError as error:
        sys.stderr.write(f"{error if is_help(error) else sentence(error)}\n")
        sys.exit(2)
    except Failed as error:
        sys.stderr.write(f"taskgan: {error}\n")
        sys.exit(3)
    except UserError as error:
        sys.stderr.write(f"taskgan: {error}\n")
        sys.exit(2)
    except ModuleNotFoundError as error:
        if (error.name or "taskgan").partition(".")[0] in ("taskgan", *sys.stdlib_module_names):
            raise
        sys.stderr.write(f"taskgan: this needs {error.name}, which is not here: pip install 'taskgan[all]'\n")
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written to, a full disk
        sys.stderr.write(
            f"taskgan: {_place_of(error)} cannot be read or written: {error.strerror or error}\n"
        )
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        full = out_of_memory(error)
        if full is None:
            raise
        sys.stderr.write(
            f"taskgan: {full}; a smaller batch or fewer workers need less. What was finished is kept: call it again\n"
        )
        sys.exit(3)
    if code == _INTERRUPTED:
        sys.stderr.write("taskgan: interrupted; nothing half-written is left, call it again to go on\n")
    sys.exit(code)


def _place_of(error: OSError) -> str:
    if not isinstance(error.filename, str):
        return "a file"
    place = Path(error.filename)
    # A temporary name means nothing to the reader: the folder is what could not be written to.
    return str(place.parent if place.name.startswith(".") else place)
