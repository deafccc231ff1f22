"""What a person sees while they wait: stages, a live line with rate and time left, a last line with the result.

On a terminal rich draws the live line in place; in a log file a plain line is written every few seconds.
"""

import codecs
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_PLAIN_EVERY_S = 10.0
_LIVE_EVERY_S = 0.1
_RATE_OVER_S = 120.0  # the rate is that of about the last two minutes
_MIN_RATE_S = 2.0  # a rate over less time than this says nothing about the rest
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ASCII = {"−": "-", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "…": "...", "×": "x", "∞": "inf"}


def printable(text: str) -> str:
    """Text without control characters but for new lines and tabs: file names can hold commands for a terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def say(line: str) -> None:
    """One line for the user, on standard output, at once."""
    write(sys.stdout, printable(line) + "\n")


def write(stream: TextIO, text: str) -> None:
    """Write and flush; where nobody reads any more (``| head``, a closed terminal), the work goes on in silence."""
    try:
        stream.write(text)
        stream.flush()
    except (BrokenPipeError, ValueError):
        discard_output(stream)


def discard_output(stream: TextIO) -> None:
    """Let whatever is still written to a closed stream go nowhere, at the end of the interpreter too."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # it has no descriptor, or that is closed
        return


def tolerate_ascii_consoles() -> None:
    """Let standard output and error take every character on any console, and be absent (``>&-``)."""
    codecs.register_error("taskgan", _ascii_replacement)
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="taskgan")


def _ascii_replacement(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


def duration(seconds: float) -> str:
    """``75`` to ``1:15``, ``3700`` to ``1:01:40``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


class Progress:
    """Counts finished units of one piece of work and shows rate and time left.

    rich counts the rate from the end of the first unit on, which is no measure of the others (caches are cold,
    networks are compiled, all workers of a pool end their first unit at once). It is shown as soon as it spans two
    further units and as long again as the first one took.

    Args:
        title: What is going on, e.g. ``simulate``.
        unit: Plural name of a unit, e.g. ``subjects``.
        start: Units that were done before (a resumed run); they do not count towards the rate.
    """

    def __init__(self, title: str, total: int, unit: str, start: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._title, self._total, self._unit, self._start = title, total, unit, start
        self._began = self._clock()
        self._first: tuple[float, int] | None = None  # when the first units were done, and how many were then
        self._last_shown: float | None = None
        self._live = sys.stderr.isatty()
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}", markup=False),
            console=Console(file=sys.stderr, force_terminal=self._live, highlight=False),
            auto_refresh=False,
            disable=not self._live,
            get_time=self._clock,
            speed_estimate_period=_RATE_OVER_S,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(printable(title), total=total, completed=start, text="")

    @staticmethod
    def _clock() -> float:
        return time.monotonic()

    def advance(self, units: int = 1, **values: float | str) -> None:
        """Count ``units`` more as done and show ``values`` (losses, a case's name) beside them."""
        self._bar.advance(self._task, units)
        now, done = self._clock(), self.done
        if self._first is None:
            self._first = (now, done)
        wait = _LIVE_EVERY_S if self._live else _PLAIN_EVERY_S
        if self._last_shown is None or now - self._last_shown >= wait or done >= self._total:
            self._show(now, values)

    @property
    def done(self) -> int:
        """Units that are done."""
        return int(self._bar.tasks[0].completed)

    def __str__(self) -> str:
        """What is going on and how far it is, e.g. ``restore: 3 of 10 images``."""
        return f"{self._title}: {self.done} of {self._total} {self._unit}"

    def _rate(self, now: float) -> float | None:
        """Units a second; None where it is too early to say."""
        if self._first is None:
            return None
        spanned, units = now - self._first[0], self.done - self._first[1]
        if units < 2 or spanned < max(_MIN_RATE_S, self._first[0] - self._began):
            return None
        return self._bar.tasks[0].speed

    def _pace(self, now: float) -> str:
        rate = self._rate(now)
        rate_text = "" if rate is None else f"{rate:.1f} {self._unit}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        if self.done >= self._total:
            return f"{rate_text}  in {duration(now - self._began)}".strip()
        return "" if rate is None else f"{rate_text}  {duration((self._total - self.done) / rate)} left"

    def _show(self, now: float, values: dict[str, float | str]) -> None:
        fields = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        parts = (f"{self.done}/{self._total} {self._unit}", self._pace(now), printable(fields))
        text = "  ".join(part for part in parts if part).rstrip()
        if self._live:
            if self._last_shown is None:
                self._bar.start()
            self._bar.update(self._task, text=text, refresh=True)
        else:
            write(sys.stderr, f"{printable(self._title)}  {text}\n")
        self._last_shown = now

    def close(self) -> None:
        """End the live line, so that what follows starts on a line of its own."""
        if self._live and self._last_shown is not None:
            self._bar.stop()


@contextmanager
def progress(title: str, total: int, unit: str, start: int = 0) -> Iterator[Progress]:
    """A :class:`Progress` that is closed also when the work fails; an error learns how far the work was."""
    bar = Progress(title, total, unit, start)
    try:
        yield bar
    except Exception as error:
        if not hasattr(error, "doing"):
            error.doing = str(bar)  # type: ignore[attr-defined]
        raise
    finally:
        bar.close()
