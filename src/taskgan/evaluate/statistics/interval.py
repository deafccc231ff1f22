"""An estimate and the ends of its confidence interval."""

from dataclasses import dataclass

LEVEL = 0.95
# A resampled mean never leaves the range of the values, and n values lie all on one side of a symmetric truth
# with probability 2^(1 − n): below 5 % from six on. Fewer subjects cannot give a 95 % interval.
FEWEST = 6


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval (NaN where there are too few subjects for one)."""

    estimate: float
    low: float
    high: float

    def excludes(self, value: float = 0.0) -> bool:
        """Whether ``value`` lies outside: only then is a difference called one."""
        return self.low > value or self.high < value
