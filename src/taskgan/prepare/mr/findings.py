"""What is found out about a subject on the way: what is wrong, and what the user should know."""

from dataclasses import dataclass, field

from taskgan.core.errors import Problems


@dataclass
class SubjectReport:
    """Sentences about one subject.

    Attributes:
        subject: Its name in the table.
        problems: Why it cannot be prepared.
        notes: What was done or looks odd.
        units: Units of its phases.
        resampled: How many of its images were brought onto another grid.
    """

    subject: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    units: set[str] = field(default_factory=set)
    resampled: int = 0

    def add_problem(self, text: str) -> None:
        """Add a problem."""
        self.problems.append(f"subject {self.subject}: {text}")

    def add_note(self, text: str) -> None:
        """Add a note."""
        self.notes.append(f"subject {self.subject}: {text}")

    def raise_problems(self) -> None:
        """End here if there is a problem, as what follows would only repeat it.

        Raises:
            Problems: All so far.
        """
        if self.problems:
            raise Problems(f"subject {self.subject} cannot be prepared", self.problems)
