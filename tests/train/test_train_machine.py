from collections.abc import Callable
from typing import Any

import pytest
import torch

from taskgan.core.errors import UserError
from taskgan.recipe import Recipe
from taskgan.train import machine
from taskgan.train.devices import MachineChoice, device_name, device_of, start_fabric, torch_switches

Make = Callable[..., Recipe]
AUTO: dict[str, Any] = {
    "machine": {"accelerator": "cpu", "precision": "auto", "channels_last": "auto", "compile": "auto"}
}
CPU = torch.device("cpu")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[MachineChoice, float]:
    """A machine whose times are known; every measurement is entered."""
    times = {
        MachineChoice("32", False, False): 1.0,
        MachineChoice("32", True, False): 0.8,
        MachineChoice("bf16", False, False): 0.7,
        MachineChoice("bf16", True, False): 0.9,
        MachineChoice("bf16", False, True): 0.1,
    }
    asked: list[MachineChoice] = []

    def measure(recipe: Recipe, size: tuple[int, int], choice: MachineChoice) -> tuple[float, float]:
        asked.append(choice)
        return times[choice], 60.0

    monkeypatch.setattr(machine, "seconds_per_step", measure)
    monkeypatch.setattr(machine, "bf16_is_native", lambda: True)
    times["asked"] = asked  # type: ignore[index, assignment]
    return times


def test_nothing_is_measured_where_nothing_is_auto(recipe: Make, timed: dict[Any, Any]) -> None:
    assert machine.choose_machine(recipe(), (16, 16)) == MachineChoice("32", False, False)
    assert timed["asked"] == []


def test_the_fastest_is_taken_and_every_objective_gets_it_from_the_cache(recipe: Make, timed: dict[Any, Any]) -> None:
    chosen = [
        machine.choose_machine(recipe(objective=o, **AUTO), (16, 16)) for o in ("l1", "gan", "task_gan", "cycle_gan")
    ]
    assert chosen == [MachineChoice("bf16", False, False)] * 4
    assert len(timed["asked"]) == 4
    machine.choose_machine(recipe(**AUTO), (32, 32))
    assert len(timed["asked"]) == 8  # another size is another question


def test_a_gain_within_the_noise_of_a_stopwatch_changes_nothing(recipe: Make, timed: dict[Any, Any]) -> None:
    for choice in list(timed):
        if isinstance(choice, MachineChoice):
            timed[choice] = 0.97
    timed[MachineChoice("32", False, False)] = 1.0
    assert machine.choose_machine(recipe(**AUTO), (16, 16)) == MachineChoice("32", False, False)


def test_fixed_settings_are_not_varied(recipe: Make) -> None:
    asked = recipe(machine={"accelerator": "cpu", "precision": "bf16", "compile": False})
    assert machine.candidates(asked, CPU) == [MachineChoice("bf16", False, False), MachineChoice("bf16", True, False)]


@pytest.mark.parametrize(("steps", "compiled"), [(100, False), (5000, True)])
def test_compiling_has_to_pay(recipe: Make, timed: dict[Any, Any], steps: int, compiled: bool) -> None:
    found = machine.choose_machine(recipe(optimiser__steps=steps, **AUTO), (16, 16))
    assert found == MachineChoice("bf16", False, compiled)
    assert (MachineChoice("bf16", False, True) in timed["asked"]) == compiled


def test_bf16_is_not_even_timed_on_a_cpu_that_emulates_it(
    recipe: Make, timed: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "bf16_is_native", lambda: False)
    chosen = machine.choose_machine(recipe(**AUTO), (16, 16))
    assert chosen.precision == "32"
    assert {choice.precision for choice in timed["asked"]} == {"32"}
    timed["asked"].clear()
    only = {"accelerator": "cpu", "precision": "auto", "channels_last": True, "compile": False}
    assert machine.choose_machine(recipe(machine=only), (16, 16)) == MachineChoice("32", True, False)
    assert timed["asked"] == []  # one candidate needs no stopwatch


def test_a_measurement_draws_nothing_from_torchs_global_state(recipe: Make) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    each, first = machine.seconds_per_step(
        recipe(objective="l1"), (16, 16), MachineChoice("32", True, False), budget=0.0
    )
    assert each > 0
    assert first > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    recipe: Make, timed: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert [machine.choose_machine(recipe(**AUTO), (16, 16)).precision for _ in range(2)] == ["bf16", "bf16"]
    assert len(timed["asked"]) == 8


def test_what_the_machine_lacks_is_said(recipe: Make) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UserError, match="accelerator=cuda.*not to be had here"):
        start_fabric(recipe(machine__accelerator="cuda").machine, "32")
    with pytest.raises(UserError, match="precision=16 is not to be had here"):
        start_fabric(recipe().machine, "16")


def test_switches_are_set_back(recipe: Make) -> None:
    threads = torch.get_num_threads()
    with torch_switches(recipe(machine__threads=2).machine, CPU):
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled()
        assert float(torch.tensor(1e-40) * 1.0) == 0.0  # subnormals are zero
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_device_has_a_name(recipe: Make) -> None:
    assert device_of(recipe().machine) == CPU


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [("accelerator", "cuda", "which this machine does not have"), ("precision", "16", "needs a GPU")],
)
def test_what_this_machine_cannot_do_is_refused_at_once(
    recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, setting: str, value: str, expected: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=expected):
        device_of(recipe(**{f"machine__{setting}": value}).machine)


def test_an_image_smaller_than_d_can_be_measured_with(recipe: Callable[..., Recipe]) -> None:
    asked = recipe(discriminator__widths=[4] * 5)
    assert machine.seconds_per_step(asked, (16, 16), MachineChoice("32", False, False), budget=0.0)[0] > 0
    assert device_name(CPU).startswith("cpu: ")
    assert device_name(CPU).endswith("1 thread")
