"""What a person sees while they wait: stages, a live line with rate and time left, a last line with the result.

On a terminal the live line is redrawn in place; in a log file a plain line is written every few seconds.
"""

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_PLAIN_EVERY_S = 10.0
_MARK_EVERY_S = 1.0
_MARKS = 120  # the rate is that of about the last two minutes, or of this many units where they are slow
_LEAST_S = 2.0  # a rate over less time than this says nothing about the rest


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

    The first unit is no measure of the others (caches are cold, networks are compiled, all workers of a pool end
    their first unit at once), so the rate is counted from its end on. It is shown as soon as it spans two further
    units and as long again as the first one took.

    Args:
        title: What is going on, e.g. ``simulate``.
        total: Number of units of the whole work.
        unit: Plural name of a unit, e.g. ``subjects``.
        start: Units that were done before (a resumed run); they do not count towards the rate.
    """

    def __init__(self, title: str, total: int, unit: str, start: int = 0) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = start
        self._began = time.monotonic()
        self._first_took = 0.0
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)  # when, and how many were done then
        self._shown: float | None = None
        self._live = sys.stderr.isatty()
        self._width = 0

    def advance(self, units: int = 1, **values: float | str) -> None:
        """Count ``units`` more as done and show ``values`` (losses, a case's name) beside them."""
        self._done += units
        now = time.monotonic()
        if not self._marks:
            self._first_took = now - self._began
        wait = 0.1 if self._live else _PLAIN_EVERY_S
        if self._shown is None or now - self._shown >= wait or self._done >= self._total:
            self._shown = now
            self._show(now, values)
        if not self._marks or now - self._marks[-1][0] >= _MARK_EVERY_S:
            self._marks.append((now, self._done))

    def _rate(self, now: float) -> float | None:
        """Units a second; None where it is too early to say."""
        if not self._marks:
            return None
        when, done = self._marks[0]
        spanned, units = now - when, self._done - done
        if units < 2 or spanned < max(_LEAST_S, self._first_took):
            return None
        return units / spanned

    def _pace(self, now: float) -> str:
        rate = self._rate(now)
        shown = (
            "" if rate is None else f"{rate:.1f} {self._unit}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        )
        if self._done >= self._total:
            return f"{shown}  in {duration(now - self._began)}".strip()
        return "" if rate is None else f"{shown}  {duration((self._total - self._done) / rate)} left"

    def _show(self, now: float, values: dict[str, float | str]) -> None:
        shown = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        parts = (f"{self._title}  {self._done}/{self._total} {self._unit}", self._pace(now), shown)
        line = "  ".join(part for part in parts if part).rstrip()
        if self._live:
            sys.stderr.write("\r" + line.ljust(self._width)[:200])
            self._width = len(line)
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """End the live line, so that what follows starts on a line of its own."""
        if self._live and self._shown is not None:
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
