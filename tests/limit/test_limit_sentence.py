"""The sentence says what intervals say, and no more."""

import numpy as np
import pandas as pd
import pytest

from taskgan.limit.figures import BEST, LIMIT, PLAIN, Answer, Answers, limit_sentence, limit_table, read_answers

L1, OWN = Answer("clean", "l1"), Answer("l1", "l1")


def read(error: float, spread: float = 0.02, count: int = 30, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cases = [f"s{k}" for k in range(count)]
    frame = pd.DataFrame({"case": cases, "output": "age", "subject": cases, "error": error})
    frame["error"] += rng.normal(0, spread, count)
    for name in ("prediction", "truth", "decision"):
        frame[name] = np.nan
    return frame.set_index(["case", "output"])


def answers(**errors: float) -> Answers:
    keys = {"best": BEST, "plain": PLAIN, "limit": LIMIT, "l1": L1, "own": OWN}
    return read_answers({keys[name]: read(value, seed=k) for k, (name, value) in enumerate(errors.items())}, "MAE")


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({"best": 0.1, "plain": 0.4, "limit": 0.3, "l1": 0.3}, ("headroom for a task network here: +", "keeps all")),
        ({"best": 0.1, "plain": 0.4, "limit": 0.2, "l1": 0.3}, ("L1 only leaves +0.1",)),
        ({"best": 0.1, "plain": 0.3, "limit": 0.4, "l1": 0.3}, ("no headroom for a task", "the bound is too low")),
        ({"best": 0.1, "limit": 0.2, "l1": 0.3}, ("who was taught on the inputs 0.", "of clean images 0.")),
        ({"best": 0.1, "plain": 0.4, "limit": 0.2, "l1": 0.3, "own": 0.25}, ("more is in its images",)),
    ],
)  # fmt: skip
def test_gaps_become_words(errors: dict[str, float], words: tuple[str, ...]) -> None:
    sentence = limit_sentence(answers(**errors))
    assert all(word in sentence for word in words), sentence
    assert "[" in sentence


def test_the_gain_is_paired_and_positive_where_the_first_errs_less() -> None:
    found = answers(best=0.1, plain=0.4, limit=0.3)
    gain = found.gain(LIMIT, PLAIN)
    expected = (read(0.4, seed=1)["error"] - read(0.3, seed=2)["error"]).mean()
    assert gain.estimate == pytest.approx(expected)
    table = limit_table(found)
    assert [column.key for column in table.columns][-1] == "left_to_win"
    assert len(table.rows) == 3
