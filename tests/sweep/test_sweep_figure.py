import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_sweep import result, results
from taskgan.page.style import axes_figure
from taskgan.sweep.choose import SettingChoice, choose_setting
from taskgan.sweep.panels import draw_sweep, draw_trade, pareto_front, tick_labels, values_text, varying_keys
from taskgan.sweep.results import SettingResult, legend, marker_style, printed_table, ranked

REFERENCE = result({"objective": "gan"}, (0.05, 0.005), reference=True)


def shift(values: Mapping[str, Any]) -> tuple[float, float]:
    mu = float(values.get("loss.mu_task", 0.1))
    return -0.3 * mu, 0.02 * abs(math.log10(mu + 1e-3) + 1)


def chosen(field: Sequence[SettingResult], rule: Any = "balanced") -> SettingChoice:
    return choose_setting([one.as_candidate() for one in field], rule)


ONE = [
    *results([{"loss.mu_task": mu} for mu in (0.0, 0.01, 0.1)], shift, seeds=2),
    result({"loss.mu_task": 1.0}, status="diverged"),
    REFERENCE,
]
WORDS = results([{"objective": name} for name in ("l1", "gan", "task_gan")], shift)
TWO = [
    *results([{"loss.mu_task": m, "loss.lambda_gan": w} for m in (0.01, 0.1, 1.0) for w in (0.1, 1.0)], shift),
    result({"loss.mu_task": 0.01, "loss.lambda_gan": 10.0}, status="diverged"),
    REFERENCE,
]
THREE = results(
    [
        {"loss.mu_task": m, "loss.lambda_gan": w, "discriminator.conditional": c}
        for m in (0.01, 0.1) for w in (0.1, 1.0) for c in (True, False)
    ],
    shift,
)  # fmt: skip


@pytest.mark.parametrize("field", [ONE, WORDS, THREE, ONE[:1]], ids=["one", "words", "three", "single"])
def test_it_is_drawn_whatever_is_swept(field: list[SettingResult], tmp_path: Path) -> None:
    assert draw_sweep(field, chosen(field), tmp_path / "a.png", 0.3).read_bytes().startswith(b"\x89PNG")


def test_the_same_sweep_is_the_same_figure(tmp_path: Path) -> None:
    first, second = (draw_sweep(TWO, chosen(TWO), tmp_path / f"{name}.png", 0.3) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("options", [{"judge": False}, {"subjects": 4}], ids=str)
def test_it_is_drawn_without_a_judge_and_without_intervals(options: dict[str, Any], tmp_path: Path) -> None:
    field = results([{"loss.mu_task": mu} for mu in (0.01, 0.1)], shift, **options)
    assert draw_sweep(field, chosen(field, "psnr"), tmp_path / "a.png", None).is_file()


def test_an_identity_is_chosen_by_who_is_mistaken_not_by_the_distance(tmp_path: Path) -> None:
    near, told_apart = (
        result({"loss.mu_task": mu}, (0.0, shift), mistaken=share)
        for mu, shift, share in ((0.01, -0.1, 0.3), (0.1, 0.1, 0.2))
    )
    found = [near, told_apart]
    choice = choose_setting([one.as_candidate() for one in found])
    assert choice.chosen == told_apart.label
    assert choice.metric == "judge_mistaken"
    assert choice.rule.startswith("smallest share of comparisons in which the judge finds two people nearer")
    lines = printed_table(found, choice)
    assert "mistaken by judge" in lines[0]
    assert "0.2000" in next(line for line in lines if line.startswith("*"))
    assert draw_sweep(found, choice, tmp_path / "sweep.png", 0.3).stat().st_size > 10_000
    # Where one run does not know it, all are compared by the error.
    older = [near, result({"loss.mu_task": 0.1}, (0.0, 0.1))]
    assert choose_setting([one.as_candidate() for one in older]).chosen == near.label


def test_the_keys_drawn_are_those_that_vary() -> None:
    assert varying_keys(ONE) == ["loss.mu_task"]
    assert varying_keys(TWO) == ["loss.mu_task", "loss.lambda_gan"]
    assert varying_keys([result({"loss.mu_task": 0.1, "optimiser.lr": 1e-3}, (0, 0))]) == ["loss.mu_task"]


def test_values_go_by_size_and_what_says_nothing_goes_first() -> None:
    field = [result({"loss.mu_task": m}) for m in (10.0, 9.0, 0.5)] + [result({"objective": "l1"})]
    assert tick_labels(field, "loss.mu_task") == ["–", "0.5", "9", "10"]


def test_the_front_and_the_chosen_are_labelled() -> None:
    values = [{"loss.mu_task": m / 10, "loss.lambda_gan": w} for m in range(1, 11) for w in (0.1, 1.0, 10.0)]
    field = results(values, lambda setting: (-float(setting["loss.mu_task"]), -float(setting["loss.mu_task"]) / 50))
    choice = chosen(field)
    with axes_figure(1, 1, (4.6, 4.0)) as (_, axes):
        draw_trade(axes[0][0], field, choice, "judge_mae", 0.3)
        texts = {text.get_text() for text in axes[0][0].texts}
    edge = pareto_front(*(np.array([r.intervals[name].estimate for r in field]) for name in ("psnr", "judge_mae")))
    expected = {values_text(field[i]) for i in edge} | {values_text(r) for r in field if r.label == choice.chosen}
    assert texts == expected
    assert 1 < len(texts) < len(field)


def test_the_front_is_what_nothing_beats_in_both() -> None:
    rng = np.random.default_rng(0)
    quality, error = rng.normal(size=50), rng.normal(size=50)
    found = pareto_front(quality, error)
    assert all(quality[a] >= quality[b] and error[a] > error[b] for a, b in pairwise(found))
    for index in range(50):
        beaten = ((quality > quality[index]) & (error <= error[index])) | (
            (quality >= quality[index]) & (error < error[index])
        )
        assert beaten.any() == (index not in found)


def test_signs_tell_ties_from_differences() -> None:
    field = [
        result({"loss.mu_task": 0.1}, (0.0, 0.0)),
        result({"loss.mu_task": 0.2}, (0.0, 0.0005)),
        result({"loss.mu_task": 0.3}, (0.0, 0.05)),
        result({"loss.mu_task": 0.4}, (-2.0, -0.05)),
        result({"loss.mu_task": 0.5}, status="diverged"),
        REFERENCE,
    ]
    choice = chosen(field)
    best = {one.label: marker_style(one, choice).sign for one in field if one.status == "finished"}
    assert best["mu_task=0.3"] == " "
    assert best["mu_task=0.4"] == "-"
    assert best["objective=gan"] == "r"
    assert {best["mu_task=0.1"], best["mu_task=0.2"]} == {"*", "="}
    lines = printed_table(field, choice)
    assert [line[0] for line in lines] == [" ", "*", "=", " ", "-", "r", " "]
    assert lines[-1].endswith("diverged")
    assert "chosen" in legend(field, choice)
    assert "reference" in legend(field, choice)
    assert ranked(field, choice)[0].label == choice.chosen


def test_a_very_long_table_is_cut_and_says_so() -> None:
    field = results([{"loss.mu_task": n / 100} for n in range(1, 46)], shift)
    lines = printed_table(field, chosen(field))
    assert len(lines) == 42
    assert lines[-1] == "and 5 more in the table"
