"""What goes wrong: what a user did, in one sentence (exit code 2), and what the machine has no room for (3)."""

import errno
import gc
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # as safetensors quotes the system
_TORCH_WRITER = re.compile(r"PytorchStreamWriter failed|file write failed|unexpected pos \d+")

_MAX_LINE = 4000  # characters of a line
_MAX_SHOWN = 10  # problems in a message


class UserError(Exception):
    """Bad input. The message names the file or option, what was found and what was expected. ``message``: lines over
    4000 characters are cut, and words over 1000: nobody meant them to be read.
    """

    def __init__(self, message: str) -> None:
        super().__init__(re.sub(rf"(.{{{_MAX_LINE}}}).+", r"\1…", short_words(message)))


def short_words(message: str) -> str:
    """A message whose words over 1000 characters end after 200: no paths, but contents of damaged files."""
    return re.sub(r"(\S{200})\S{800,}", r"\1…", message)


class Problems(UserError):
    """Several things wrong at once, each one a sentence of its own.

    Args:
        summary: One line that says what was checked, e.g. ``cohort/pairs.csv cannot be trained on``.
        problems: The sentences, in the order of the rows they speak of.
    """

    def __init__(self, summary: str, problems: Sequence[str]) -> None:
        self.summary = summary
        self.problems = tuple(problems)
        super().__init__(self.listing())

    @property
    def is_long(self) -> bool:
        """Whether there are more than a message shows."""
        return len(self.problems) > _MAX_SHOWN

    def listing(self, most: int | None = _MAX_SHOWN, place: str = "") -> str:
        """The summary and the first problems, a line each.

        Args:
            most: How many; None is all.
            place: Where all of them are, such as the file that the command line writes.
        """
        lines = [f"  - {problem}" for problem in self.problems[:most]]
        if more := len(self.problems) - len(lines):
            lines.append(f"  … and {more} more" + f" (all of them: {place})" * bool(place))
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"{self.summary}: {count}", *lines])


class Failed(UserError):
    """Work that was begun could not be brought to an end. The command line exits with 3."""


class LeftOut(Failed, Problems):
    """Some of a batch could not be used and the others are done; the same call again says the same again."""


class Diverged(Failed):
    """Training stopped because it went wrong; the message says how and where the last good state is."""


class Terminated(BaseException):
    """The process was asked to end (SIGTERM). Like Ctrl-C it is nobody's fault; the command line exits with 143."""


@contextmanager
def signals_held(*numbers: signal.Signals) -> Iterator[None]:
    """Signals come after the block; processes that begin in it do not get them, unless they allow it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def disk_error(error: BaseException | None) -> OSError | None:
    """The disk's part in an error (full, quota, read-only, broken), also where torch or safetensors wrapped it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error
        text = str(error)
        number = _OS_ERROR.search(text)
        if number and int(number[1]) in _FULL:
            return OSError(int(number[1]), os.strerror(int(number[1])))
        before = error.__cause__ or error.__context__
        if before is None and isinstance(error, RuntimeError) and _TORCH_WRITER.search(text):
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        error = before
    return None


@contextmanager
def name_disk_errors(target: Path) -> Iterator[None]:
    """Errors of the disk in the block are OSErrors that name ``target``, whichever library wrote to it."""
    try:
        yield
    except Exception as error:
        full = disk_error(error)
        if full is None:
            raise
        if full is error and isinstance(full.filename, str) and ".partial-" not in full.filename:
            raise
        assert full.errno is not None
        raise OSError(full.errno, full.strerror, str(target)) from error


def disk_error_text(error: OSError) -> str:
    """One sentence about a disk that does not take a file, with what is free there."""
    place = Path(error.filename) if isinstance(error.filename, str) else Path()
    folder = next((p for p in (place, *place.absolute().parents) if p.is_dir()), Path())
    try:
        free = f" ({shutil.disk_usage(folder).free / 1e9:.2f} GB are free there)"
    except OSError:
        free = ""
    name = str(error.filename) if isinstance(error.filename, str) else "a file"
    return f"{name} cannot be written: {error.strerror or error}{free}; what was finished is kept: call it again"


_SIGNS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|failed to allocate|ALLOC_FAILED", re.IGNORECASE
)


def out_of_memory(error: BaseException) -> str | None:
    """What an error says of memory that ran out, in a sentence; None where it is another error.

    Python raises ``MemoryError``, torch ``OutOfMemoryError`` or a ``RuntimeError`` of its allocator on the CPU or
    of cuBLAS and cuDNN on a GPU.
    """
    text = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and not (isinstance(error, RuntimeError) and _SIGNS.search(text)):
        return None
    # Torch goes on for a paragraph: how much was asked for is in the first sentences.
    amount = re.search(r"(?:tried|unable) to allocate (?:about )?[\d.]+ ?\w+", text, re.IGNORECASE)
    return f"out of memory ({amount[0][:1].lower()}{amount[0][1:]})" if amount else "out of memory"


def free_memory() -> None:
    """Free what a failed run held, on a GPU too; call it where its error is no longer held."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
