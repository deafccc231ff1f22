"""What a person sees while they wait: stages, a live line with rate and time left, a last line with the result.

On a terminal the live line is redrawn in place; in a log file a plain line is written every few seconds.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PLAIN_EVERY_S = 10.0


def say(line: str) -> None:
    """One line for the user, on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """``75`` to ``1:15``, ``3700`` to ``1:01:40``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


class Progress:
    """Counts finished units of one piece of work and shows rate and time left.

    Args:
        title: What is going on, e.g. ``simulate``.
        total: Number of units of the whole work.
        unit: Plural name of a unit, e.g. ``subjects``.
        start: Units that were done before (a resumed run); they do not count towards the rate.
    """

    def __init__(self, title: str, total: int, unit: str, start: int = 0) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._start, self._done = start, start
        self._began = time.monotonic()
        self._shown = 0.0
        self._live = sys.stderr.isatty()
        self._width = 0

    def advance(self, units: int = 1, **values: float | str) -> None:
        """Count ``units`` more as done and show ``values`` (losses, a case's name) beside them."""
        self._done += units
        now = time.monotonic()
        wait = 0.1 if self._live else _PLAIN_EVERY_S
        if now - self._shown >= wait or self._done >= self._total:
            self._shown = now
            self._show(now, values)

    def _show(self, now: float, values: dict[str, float | str]) -> None:
        elapsed = max(now - self._began, 1e-9)
        rate = (self._done - self._start) / elapsed
        left = duration((self._total - self._done) / rate) if rate > 0 else "?"
        pace = f"{rate:.1f} {self._unit}/s" if rate >= 1 else f"{1 / max(rate, 1e-9):.1f} s each"
        shown = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        line = (
            f"{self._title}  {self._done}/{self._total} {self._unit}  {pace}  {left} left  {shown}".rstrip()
        )
        if self._live:
            sys.stderr.write("\r" + line.ljust(self._width)[:200])
            self._width = len(line)
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """End the live line, so that what follows starts on a line of its own."""
        if self._live and self._shown:
            sys.stderr.write("\n")
            sys.stderr.flush()


@contextmanager
def progress(title: str, total: int, unit: str, start: int = 0) -> Iterator[Progress]:
    """A :class:`Progress` that is closed also when the work fails."""
    shown = Progress(title, total, unit, start)
    try:
        yield shown
    finally:
        shown.close()
