import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as known_fleiss

from taskgan.stats import cohen_kappa, fleiss_kappa


def ratings(n: int, readers: int = 2, seed: int = 0, noise: float = 0.8) -> np.ndarray:
    """(readers, n) Likert grades 1 to 5 of cases that differ."""
    rng = np.random.default_rng(seed)
    return np.clip(np.round(3 + rng.normal(0, 1.2, n) + rng.normal(0, noise, (readers, n))), 1, 5)


def table(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    found = np.zeros((5, 5))
    np.add.at(found, ((first - 1).astype(int), (second - 1).astype(int)), 1)
    return found


@pytest.mark.parametrize(("weights", "wt"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")])
def test_cohens_kappa_and_its_closed_form_are_the_published_ones(weights: str, wt: str | None) -> None:
    first, second = ratings(80)
    found = cohen_kappa(first, second, range(80), weights=weights, closed_form=True)
    known = cohens_kappa(table(first, second), wt=wt)
    assert found.estimate == pytest.approx(cohen_kappa_score(first, second, weights=wt))
    assert (found.low, found.high) == pytest.approx((known.kappa_low, known.kappa_upp))
    drawn = cohen_kappa(first, second, range(80), weights=weights)
    assert drawn.estimate == pytest.approx(found.estimate)
    assert drawn.high - drawn.low == pytest.approx(found.high - found.low, rel=0.15)


def test_of_two_decisions_kappa_is_its_definition() -> None:
    # 20 and 15 agreements, 5 and 10 disagreements: seen .70, by chance .50.
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert cohen_kappa(first, second, range(50)).estimate == pytest.approx(0.4)


def test_ordering_of_kappas() -> None:
    close, far = ratings(60, noise=0.3), ratings(60, noise=1.5)
    subjects = range(60)
    assert cohen_kappa(*close, subjects).estimate > cohen_kappa(*far, subjects).estimate
    # Readers who miss by one grade are forgiven more the steeper the weights.
    none, linear, quadratic = (
        cohen_kappa(*close, subjects, weights=w).estimate for w in ("none", "linear", "quadratic")
    )
    assert none < linear < quadratic < 1


def test_an_unused_grade_keeps_its_place() -> None:
    first, second = np.array([1, 1, 2, 5, 5, 2, 1, 5]), np.array([1, 2, 2, 5, 2, 2, 1, 5])
    known = cohen_kappa_score(first, second, labels=[1, 2, 3, 4, 5], weights="linear")
    assert cohen_kappa(first, second, range(8), weights="linear").estimate == pytest.approx(known)


def test_within_readers_is_the_mean_of_their_kappas() -> None:
    sessions = ratings(40, readers=6, noise=0.5)
    first, second = sessions[:3], sessions[3:]
    found = cohen_kappa(first, second, range(40))
    each = [cohen_kappa(a, b, range(40)).estimate for a, b in zip(first, second, strict=True)]
    assert found.estimate == pytest.approx(np.mean(each))
    assert found.low < found.estimate < found.high


def test_subjects_are_drawn_as_a_whole() -> None:
    first, second = np.tile(ratings(30), (1, 4))
    once, four = cohen_kappa(first, second, list(range(30)) * 4), cohen_kappa(first, second, range(120))
    assert once.estimate == four.estimate
    assert once.high - once.low > 1.6 * (four.high - four.low)  # the square root of 4, about
    with pytest.raises(ValueError, match="one pair of ratings a subject"):
        cohen_kappa(first, second, list(range(30)) * 4, closed_form=True)
    several = fleiss_kappa(np.stack([first, second]), list(range(30)) * 4)
    assert several.high - several.low > 1.6 * (lambda i: i.high - i.low)(fleiss_kappa([first, second], range(120)))
    with pytest.raises(ValueError, match="one case a subject"):
        fleiss_kappa([first, second], list(range(30)) * 4, closed_form=True)


def test_fleiss_kappa_is_the_published_one() -> None:
    # Fleiss 1971, as statsmodels has it; three readers.
    grades = ratings(50, readers=3)
    counts = (grades[:, :, None] == np.arange(1, 6)).sum(axis=0)
    assert fleiss_kappa(grades, range(50)).estimate == pytest.approx(known_fleiss(counts))


def test_fleiss_closed_form_is_the_jackknife_in_the_limit() -> None:
    grades = ratings(400, readers=3, seed=1)
    found = fleiss_kappa(grades, range(400), closed_form=True)
    without = np.array(
        [fleiss_kappa(np.delete(grades, i, axis=1), range(399), closed_form=True).estimate for i in range(400)]
    )
    error = math.sqrt(399 / 400 * ((without - without.mean()) ** 2).sum())
    assert (found.high - found.low) / 2 == pytest.approx(error * stats.t.ppf(0.975, 399), rel=0.02)
    drawn = fleiss_kappa(grades, range(400))
    assert drawn.high - drawn.low == pytest.approx(found.high - found.low, rel=0.1)


def test_what_cannot_be_told_is_nan() -> None:
    same = np.ones(20)
    assert math.isnan(cohen_kappa(same, same, range(20)).estimate)
    assert math.isnan(cohen_kappa(same, same, range(20), closed_form=True).estimate)
    assert math.isnan(fleiss_kappa([same, same], range(20), closed_form=True).estimate)
    grades = ratings(20)[0]
    perfect = cohen_kappa(grades, grades, range(20))
    assert perfect.estimate == 1
    assert math.isnan(perfect.low)
    assert math.isnan(fleiss_kappa([grades, grades], range(20), closed_form=True).low)
    holes = grades.copy()
    holes[3] = np.nan
    assert cohen_kappa(holes, ratings(20)[1], range(20)).estimate == pytest.approx(
        cohen_kappa_score(np.delete(grades, 3), np.delete(ratings(20)[1], 3))
    )
    with pytest.raises(ValueError, match="expected pairs"):
        cohen_kappa(grades, grades[:5], range(20))
    with pytest.raises(ValueError, match="two or more readers"):
        fleiss_kappa(grades[None], range(20))
