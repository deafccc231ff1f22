"""What a user did wrong, in one sentence. The command line prints it and exits with 2."""

import re
from collections.abc import Sequence

_LONGEST = 4000  # characters of a line
_MAX_SHOWN = 200  # problems in a message


class UserError(Exception):
    """Bad input. The message names the file or option, what was found and what was expected.

    Args:
        message: Lines over 4000 characters are cut: they quote something that nobody meant to be read.
    """

    def __init__(self, message: str) -> None:
        super().__init__(re.sub(rf"(.{{{_LONGEST}}}).+", r"\1…", message))


class Problems(UserError):
    """Several things wrong at once, each one a sentence of its own.

    Args:
        summary: One line that says what was checked, e.g. ``cohort/pairs.csv cannot be trained on``.
        problems: The sentences, in the order of the rows they speak of.
    """

    def __init__(self, summary: str, problems: Sequence[str]) -> None:
        self.summary = summary
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        shown = [f"  - {p}" for p in problems[:_MAX_SHOWN]]
        more = len(problems) - len(shown)
        super().__init__(
            "\n".join([f"{summary}: {count}", *shown, *([f"  … and {more} more"] if more else [])])
        )


class Failed(UserError):
    """Work that was begun could not be brought to an end. The command line exits with 3."""


class Diverged(Failed):
    """Training stopped because it went wrong; the message says how and where the last good state is."""
