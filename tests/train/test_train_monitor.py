import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from taskgan.core.errors import Diverged
from taskgan.recipe import Recipe
from taskgan.train.metrics import Monitor, output_metrics
from taskgan.train.run import train
from taskgan.train.step import train_step

Make = Callable[..., Recipe]
WELL = {"pixel": 0.5, "adversarial": 0.1, "discriminator": 0.5, "spread": 1.0, "bounds": 0.0}


def test_a_run_that_goes_well_is_left_alone(recipe: Make) -> None:
    monitor = Monitor(recipe())
    assert all(monitor.observe({**WELL, "pixel": 0.5 + 0.1 * math.sin(k)}) is None for k in range(3000))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_are_named(recipe: Make, value: float) -> None:
    assert Monitor(recipe()).observe({**WELL, "adversarial": value}) == "adversarial became NaN or infinite"


def test_constant_output_stops_only_after_many_steps_in_a_row(recipe: Make) -> None:
    monitor = Monitor(recipe(monitor__constant_steps=3))
    flat = {**WELL, "spread": 0.001}
    assert [monitor.observe(one) is None for one in (flat, flat, WELL, flat, flat)] == [True] * 5
    assert "constant for 3 steps" in str(monitor.observe(flat))


def test_saturated_output_counts_for_bounded_images_alone(recipe: Make) -> None:
    full = {**WELL, "bounds": 1.0}
    for output, stops in {"unit": True, "nonnegative": False}.items():
        monitor = Monitor(recipe(monitor__constant_steps=2, data__intensity={"output": output}))
        monitor.observe(full)
        assert ("saturated" in str(monitor.observe(full))) == stops


def test_a_sure_discriminator_is_a_failure_only_where_g_follows_it_and_gets_nowhere(recipe: Make) -> None:
    def told(adversarial: float, trend: float, loss: float = 1e-4) -> str | None:
        monitor = Monitor(recipe(monitor__discriminator_steps=40, loss__lambda_gan=0.1))
        steps = (
            {**WELL, "discriminator": loss, "adversarial": adversarial, "pixel": 0.5 + trend * k} for k in range(60)
        )
        return next((found for figures in steps if (found := monitor.observe(figures))), None)

    assert "the discriminator has won" in str(told(adversarial=100.0, trend=1e-3))
    assert "95 % of the objective" in str(told(adversarial=100.0, trend=1e-3))
    assert told(adversarial=100.0, trend=-1e-3) is None
    assert told(adversarial=1.0, trend=1e-3) is None
    assert told(adversarial=100.0, trend=1e-3, loss=0.1) is None


def test_where_there_are_no_pairs_the_cycle_says_whether_g_gets_anywhere(recipe: Make) -> None:
    def told(cycle: float, trend: float) -> str | None:
        monitor = Monitor(recipe(objective="cycle_gan", monitor__discriminator_steps=40, cycle={"weight": 2}))
        well = {k: v for k, v in WELL.items() if k != "pixel"}
        steps = ({**well, "discriminator": 1e-4, "adversarial": 8.0, "cycle": cycle + trend * k} for k in range(60))
        return next((found for figures in steps if (found := monitor.observe(figures))), None)

    assert "94 % of the objective, and the cycle loss did not fall" in str(told(cycle=0.25, trend=0.0))
    assert told(cycle=0.25, trend=-1e-3) is None
    assert told(cycle=1.0, trend=0.0) is None


def test_a_discriminator_that_errs_once_has_not_won(recipe: Make) -> None:
    monitor = Monitor(recipe(monitor__discriminator_steps=40))
    for k in range(200):
        loss = 0.7 if k % 39 == 0 else 1e-4
        assert monitor.observe({**WELL, "discriminator": loss, "adversarial": 100.0}) is None


def test_label_smoothing_moves_the_bound_because_a_perfect_d_pays_for_it(recipe: Make) -> None:
    smoothing = 0.1
    least = -0.5 * (smoothing * math.log(smoothing) + (1 - smoothing) * math.log(1 - smoothing))
    monitor = Monitor(recipe(monitor__discriminator_steps=4, loss__label_smoothing=smoothing))
    found = [monitor.observe({**WELL, "discriminator": least + 1e-4, "adversarial": 1e3}) for k in range(8)]
    assert any(found)


def test_a_resumed_monitor_stops_at_the_same_step(recipe: Make) -> None:
    asked = recipe(monitor__discriminator_steps=10)
    steps = [{**WELL, "discriminator": 1e-4, "adversarial": 1e3} for k in range(30)]
    whole = Monitor(asked)
    first = next(k for k, figures in enumerate(steps) if whole.observe(figures))
    before, after = Monitor(asked), Monitor(asked)
    for figures in steps[:6]:
        assert before.observe(figures) is None
    after.load_state_dict(before.state_dict())
    assert next(k for k, figures in enumerate(steps[6:], start=6) if after.observe(figures)) == first


def test_output_figures_of_constant_and_saturated_images() -> None:
    x = torch.rand(2, 1, 8, 8)
    assert output_metrics(torch.full_like(x, 0.5), x)["spread"] == 0
    assert output_metrics(torch.ones_like(x), x)["bounds"] == 1
    same = output_metrics(x, x)
    assert same["spread"] == 1
    assert same["bounds"] == 0


# Provoked in real runs


def stopped(recipe: Recipe, cohort: Path, run: Path) -> str:
    with pytest.raises(Diverged) as caught:
        train(recipe, cohort, run)
    return str(caught.value)


def test_nan_stops_a_run_and_names_step_and_checkpoint(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipe(objective="gan", optimiser__steps=40)
    calls = 0

    def poisoned(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 13:
            with torch.no_grad():
                arguments[0].generator.last.bias.fill_(math.nan)  # type: ignore[attr-defined]
        return train_step(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("taskgan.train.loop.train_step", poisoned)
    message = stopped(asked, cohort, tmp_path / "run")
    assert "diverged at step 13" in message
    assert "NaN" in message
    assert f"{tmp_path / 'run' / 'last.ckpt'} (step 10)" in message
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert all(bool(v.isfinite().all()) for v in state["networks"]["generator"].values())


def test_weights_that_break_in_the_last_step_before_a_checkpoint_are_not_saved(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*arguments: object, **named: object) -> object:
        outcome = train_step(*arguments, **named)  # type: ignore[arg-type]
        with torch.no_grad():
            arguments[0].generator.last.bias.fill_(math.inf)  # type: ignore[attr-defined]
        return outcome

    monkeypatch.setattr("taskgan.train.loop.train_step", breaks)
    asked = recipe(objective="l1", validation__save_every=1, validation__every=12)
    message = stopped(asked, cohort, tmp_path / "run")
    assert "weights of the generator" in message
    assert "none was saved yet" in message
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_a_learning_rate_that_is_far_too_high_ends_in_a_constant_output(
    recipe: Make, cohort: Path, tmp_path: Path
) -> None:
    asked = recipe(
        objective="l1",
        optimiser__lr=50.0,
        optimiser__steps=400,
        monitor__constant_steps=20,
        optimiser__schedule="constant",
        validation__every=400,
        validation__save_every=400,
    )
    message = stopped(asked, cohort, tmp_path / "run")
    assert "constant" in message or "NaN" in message


def test_a_discriminator_that_learns_far_too_fast_wins(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    asked = recipe(
        objective="gan",
        discriminator__norm="none",
        optimiser__lr=1e-6,
        optimiser__lr_discriminator=3e-2,
        optimiser__steps=400,
        optimiser__schedule="constant",
        loss__lambda_gan=10.0,
        validation__every=400,
        validation__save_every=10,
        monitor__discriminator_steps=40,
    )
    message = stopped(asked, cohort, tmp_path / "run")
    assert "the discriminator has won" in message
    assert "last.ckpt (step" in message
