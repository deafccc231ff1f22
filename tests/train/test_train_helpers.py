"""Schedule, average, journal, validation: the helpers beside the loop."""

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import UserError
from taskgan.recipe import Optimiser, Recipe
from taskgan.recipe.phases import rate_factor
from taskgan.train.devices import MachineChoice, derive_seed
from taskgan.train.folder import load_checkpoint, save_checkpoint
from taskgan.train.metrics import MetricsLogger, read_metrics
from taskgan.train.networks import build_generator
from taskgan.train.session import Ema, Session
from taskgan.train.validation import Validation

Make = Callable[..., Recipe]


def test_constant_linear_and_cosine_schedules() -> None:
    settings = Optimiser(steps=100, decay=0.5, schedule="linear")
    assert [rate_factor(settings, step) for step in (0, 50, 75, 99)] == pytest.approx([1, 1, 0.5, 0.02])
    cosine = Optimiser(steps=100, decay=1.0, schedule="cosine")
    assert rate_factor(cosine, 0) == 1
    assert rate_factor(cosine, 50) == pytest.approx(0.5)
    assert {rate_factor(Optimiser(steps=100, schedule="constant"), step) for step in range(100)} == {1.0}


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_rates_rise_over_the_warmup_never_reach_zero_and_never_rise_again(schedule: str) -> None:
    settings = Optimiser(steps=50, warmup=10, schedule=schedule, decay=0.8)  # type: ignore[arg-type]
    rates = [rate_factor(settings, step) for step in range(50)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_seeds_of_different_purposes_are_unrelated() -> None:
    seeds = {derive_seed(seed, name, step) for seed in range(5) for name in "zg" for step in range(20)}
    assert len(seeds) == 200
    assert derive_seed(0, "z", 1) == derive_seed(0, "z", 1) < 2**63


def test_the_average_lags_behind_and_converges() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    ema = Ema(network, 0.9)
    start = copy.deepcopy(ema.network.state_dict())
    with torch.no_grad():
        for value in network.parameters():
            value.add_(1.0)
    ema.update(10_000)
    for name, value in network.named_parameters():
        torch.testing.assert_close(ema.network.state_dict()[name], 0.9 * start[name] + 0.1 * value)
    for step in range(10_000, 10_200):
        ema.update(step)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(ema.network.state_dict()[name], value)
    assert not any(value.requires_grad for value in ema.network.parameters())


def test_no_average_is_the_network_itself() -> None:
    network = nn.Linear(1, 1)
    ema = Ema(network, 0.0)
    ema.update(0)
    assert ema.network is network
    assert ema.state_dict() == {}


def test_rows_after_the_checkpoint_and_cut_lines_are_removed(tmp_path: Path) -> None:
    journal = MetricsLogger(tmp_path, 0)
    for step in (5, 10, 15):
        journal.log_row(step, {"pixel": step / 7})
    journal.close()
    with (tmp_path / "metrics.csv").open("a") as handle:
        handle.write("20,0.001,0.12")  # killed while writing
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv")] == ["5", "10", "15"]
    journal = MetricsLogger(tmp_path, 10)
    journal.log_row(15, {"pixel": 1.0})
    journal.close()
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [(row["step"], row["pixel"]) for row in rows] == [("5", "0.7142857"), ("10", "1.428571"), ("15", "1")]
    with pytest.raises(ValueError, match="no columns"):
        journal.log_row(20, {"surprise": 1.0})


def test_a_damaged_checkpoint_is_a_users_error(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    whole: dict[str, Any] = {key: {} for key in ("choice", "networks", "optimiser", "histories", "random")}
    whole |= {"standing": {"finished": False}, "value": torch.ones(2)}
    save_checkpoint(tmp_path, whole)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["value"].tolist() == [1, 1]
    for name in whole.keys() - {"value"}:
        save_checkpoint(tmp_path, {**whole, name: torch.ones(2)})
        with pytest.raises(UserError, match=rf"last\.ckpt has no {name}"):
            load_checkpoint(tmp_path)
    path = tmp_path / "last.ckpt"
    for value, words in (([1], "holds a list"), ({"format": "x" * 10**6}, "has format 'xxx")):
        torch.save(value, path)
        with pytest.raises(UserError, match=words) as caught:
            load_checkpoint(tmp_path)
        assert len(str(caught.value)) < len(str(path)) + 400
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:  # a bomb
        archive.writestr("archive/data.pkl", bytes(10**6))
    with pytest.raises(UserError, match=r"cannot be read as a checkpoint \(.* is compressed"):
        load_checkpoint(tmp_path)
    path.write_bytes(b"PK damaged")
    with pytest.raises(UserError, match=r"last.ckpt cannot be read as a checkpoint"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_run_is_a_users_error(tmp_path: Path) -> None:
    session = object.__new__(Session)
    session.folder = tmp_path
    for state in ({}, {"standing": {"step": 1}}, {"frozen": 3}):
        with pytest.raises(UserError, match=r"last\.ckpt is damaged or of another run"):
            session.load(state)
    for values in (3, {"precision": "32"}, [1]):
        with pytest.raises(UserError, match="was trained with machine settings"):
            MachineChoice.of(values, tmp_path)


def test_validation_cases_are_drawn_by_the_seed(recipe: Make, cohort: Path) -> None:
    val = read_pairs(cohort).split("val")

    def drawn(seed: int) -> list[str]:
        asked = recipe(seed=seed, task__pretrain__seed=7, validation__cases=1)
        return list(Validation(val, asked).validate(build_generator(asked), {}).images)

    assert drawn(0) == drawn(0)
    assert {name for seed in range(12) for name in drawn(seed)} == {"val0", "val1"}


def test_a_look_leaves_the_network_as_it_was_and_needs_no_t(recipe: Make, cohort: Path) -> None:
    asked = recipe(generator__norm="batch")
    network = build_generator(asked)
    before = copy.deepcopy(network.state_dict())
    validation = Validation(read_pairs(cohort).split("val"), asked)
    look = validation.validate(network, {})
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert set(look.metrics) == {"val_psnr", "val_pixel", "val_objective"}
    assert look.metrics["val_objective"] == look.metrics["val_pixel"]
    assert all(p.min() >= 0 and p.max() <= 1 and p.shape == (16, 48) for p in look.images.values())
    assert validation.score(look) == look.metrics["val_psnr"]
