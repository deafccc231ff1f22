"""Proportions and flips: Clopper–Pearson intervals and McNemar's test, exact."""

from scipy import stats

from taskgan.evaluate.statistics.interval import LEVEL, Interval


def exact_rate(events: float, count: int, level: float = LEVEL) -> Interval:
    """Clopper–Pearson interval of a proportion (Biometrika 1934, 10.1093/biomet/26.4.404).

    What statsmodels calls ``proportion_confint(events, count, method="beta")``; here without statsmodels, so that
    ``taskgan evaluate`` needs none.

    Args:
        events: How many of ``count``. A fraction is allowed: a subject that is wrong in one of two readings is
            half an event, which keeps n the number of subjects (the limit of Korn and Graubard's interval for
            clustered data in which a cluster is worth one observation).
        count: Number of subjects.
        level: Coverage, at least.
    """
    if count == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, events, count - events + 1)) if events > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, events + 1, count - events)) if events < count else 1.0
    return Interval(events / count, low, high)


def mcnemar(only_first: int, only_second: int, *, mid_p: bool = False) -> float:
    """Exact two-sided McNemar p (1947): are discordant subjects as often one way as the other?

    Args:
        only_first: Subjects with the event (an error, a flip) with the first method only.
        only_second: With the second only.
        mid_p: Count the table that was observed by half (Fagerland et al. 2013, 10.1186/1471-2288-13-91): nearly
            always keeps its level, with more power than the exact test, which is kept as the default because it
            always does.

    Returns:
        p of the binomial test with probability 1/2; 1 where no subject is discordant.
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    fewer = min(only_first, only_second)
    exact = float(stats.binomtest(fewer, discordant, 0.5).pvalue)
    if not mid_p:
        return exact
    # Equally many of both has p 1 + its own probability before it is cut at 1: half of that leaves 1 as well.
    return 1.0 if only_first == only_second else exact - float(stats.binom.pmf(fewer, discordant, 0.5))
