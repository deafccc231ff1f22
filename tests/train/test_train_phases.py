"""A run in phases: who learns, what is looked at, and that a kill at a border does no harm."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from run_contents import contents, same
from small_steps import flat, players_of
from taskgan.cohort.dataset import Batch
from taskgan.core.errors import Problems, UserError
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe
from taskgan.recipe.phases import Phase, Stages, rate_factor
from taskgan.train.devices import average_statistics
from taskgan.train.folder import load_checkpoint
from taskgan.train.metrics import read_metrics
from taskgan.train.networks import build_task, set_learning_rate
from taskgan.train.run import train
from taskgan.train.step import task_step, train_step

Make = Callable[..., Recipe]

PHASES = [
    {"name": "contrasts", "steps": 6, "trains": ["task"]},
    {"name": "turns", "steps": 7, "conditions": "in_turn", "turn": 2},
    {"name": "mixed", "steps": 5},
]
TOLD: dict[str, Any] = {
    "data": {
        "inputs": ["degraded", "imag"],
        "condition": "contrast",
        "intensity": {"kind": "percentile", "shared": True},
        "augment": {"shift": 1},
    },
    "task__kind": "multi_class",
    "task__classes": 3,
    "task__training": "joint",
    "task__pretrain": {"network": "resnet10", "width": 4, "steps": 0},
}


@pytest.fixture
def contrasts(make_contrasts: Callable[..., Path], tmp_path: Path) -> Path:
    return make_contrasts(tmp_path / "contrasts")


@pytest.fixture
def asked(recipe: Make) -> Callable[..., Recipe]:
    def make(**changes: Any) -> Recipe:
        made = {**TOLD, "schedule": PHASES, "optimiser": {"batch_size": 4, "lr": 1e-3, "ema": 0.9}, **changes}
        return recipe(**made)

    return make


def column(run: Path, name: str) -> dict[int, str]:
    return {int(row["step"]): row[name] for row in read_metrics(run / "metrics.csv")}


# --- Stages --------------------------------------------------------------------------------------------------


def stages(*networks: str) -> Stages:
    phases = [Phase.model_validate(phase) for phase in PHASES]
    return Stages(phases, 18, networks)


def test_without_phases_everybody_learns_and_every_clock_is_the_runs() -> None:
    plain = Stages((), 10, ["generator", "task"])
    assert plain.steps_from(0) == list(range(10))
    assert plain.stage_at(9).learners == {"generator", "task"}
    assert [plain.steps_learnt("task", step) for step in (0, 4, 10)] == [0, 4, 10]
    assert (plain.next_step(3), plain.steps_in_total("generator"), plain.idle) == (3, 10, [])


def test_clocks_count_the_steps_in_which_a_network_learns() -> None:
    all_three = stages("generator", "discriminator", "task")
    assert all_three.stage_at(5).task_alone
    assert not all_three.stage_at(6).task_alone
    assert [all_three.steps_learnt("generator", step) for step in (0, 6, 7, 18)] == [0, 0, 1, 12]
    assert (all_three.steps_in_total("task"), all_three.steps_in_total("generator")) == (18, 12)


def test_a_phase_without_anybody_is_passed_over_and_steps_keep_their_numbers() -> None:
    gan = stages("generator", "discriminator")
    assert [stage.name for stage in gan.idle] == ["contrasts"]
    assert gan.next_step(0) == 6
    assert gan.steps_from(0) == list(range(6, 18))
    assert gan.steps_from(9) == list(range(9, 18))
    middle = Stages(
        [Phase(name="a", steps=2), Phase(name="b", steps=3, trains=("task",)), Phase(name="c", steps=2)],
        7,
        ["generator"],
    )
    assert middle.steps_from(0) == [0, 1, 5, 6]
    assert middle.next_step(2) == 5


def test_cycle_gans_second_pair_goes_with_the_first() -> None:
    cycle = stages("generator", "degrader", "discriminator", "degraded_discriminator")
    assert cycle.next_step(0) == 6
    assert len(cycle.stage_at(6).learners) == 4


def test_every_networks_rate_runs_over_its_own_steps(asked: Make) -> None:
    made = asked(optimiser={"lr": 1e-3, "lr_task": 1e-3, "warmup": 2, "schedule": "linear", "decay": 0.5})
    made = made.model_copy(update={"data": made.data.model_copy(update={"conditions": ("a", "b", "c")})})
    players, _ = players_of(made)
    own = Stages(made.schedule, 18, players.weights)
    rates: dict[int, dict[str, float]] = {}
    for number in range(18):
        given = set_learning_rate(players, made, own, number)
        rates[number] = {group["name"]: group["lr"] for group in players.optimiser.param_groups}
        assert given == (rates[number]["generator"] if number >= 6 else 0.0)
    assert rates[6]["generator"] == pytest.approx(0.5e-3)  # warms up when it begins
    assert rates[7]["generator"] == pytest.approx(1e-3)
    assert rates[17]["generator"] == pytest.approx(1e-3 * rate_factor(made.optimiser, 11, 12))
    assert rates[17]["task"] == pytest.approx(1e-3 * rate_factor(made.optimiser, 17, 18))


# --- Steps ---------------------------------------------------------------------------------------------------


def a_batch() -> Batch:
    draw = torch.Generator().manual_seed(1)
    inputs = torch.rand(4, 5, 16, 16, generator=draw)
    inputs[:, 2:] = torch.eye(3)[[0, 1, 2, 0]][..., None, None]
    return Batch(inputs, torch.rand(4, 1, 16, 16, generator=draw), torch.tensor([0.0, 1.0, 2.0, 0.0]))


@pytest.mark.parametrize(
    "learners", [{"task"}, {"generator"}, {"discriminator"}, {"generator", "task"}, {"task", "discriminator"}]
)
def test_only_who_learns_changes(asked: Make, learners: set[str]) -> None:
    made = asked(generator__norm="batch", discriminator__norm="batch", task__features=0.1)
    data = made.data.model_copy(update={"conditions": ("a", "b", "c")})
    made = made.model_copy(update={"data": data})
    players, fabric = players_of_three(made)
    before = copy.deepcopy(players)
    advance = task_step if learners == {"task"} else train_step
    outcome = advance(players.with_learners(learners), a_batch(), made, fabric)
    for name, network in players.by_name().items():
        same = torch.equal(flat(network), flat(before.by_name()[name]))
        assert same == (name not in learners), name
    if "generator" not in learners:  # not a statistic of a norm either
        for ours, theirs in zip(players.generator.buffers(), before.generator.buffers(), strict=True):
            assert torch.equal(ours, theirs)
    assert (outcome.restored is None) == (learners == {"task"})
    assert not players.tasks["task"].training


def players_of_three(made: Recipe) -> tuple[Any, Any]:
    from small_steps import PLAIN
    from taskgan.train.devices import start_fabric
    from taskgan.train.networks import build_networks

    fabric = start_fabric(made.machine, "32")
    return build_networks(made, {"task": build_task(made.task)}, fabric, PLAIN), fabric


def test_task_alone_learns_and_counts_clean_images_in_its_norms(asked: Make) -> None:
    made = asked(optimiser={"lr": 1e-2, "batch_size": 4, "clip": 0.0})
    made = made.model_copy(update={"data": made.data.model_copy(update={"conditions": ("a", "b", "c")})})
    players, fabric = players_of_three(made)
    statistics = [b.clone() for b in players.tasks["task"].buffers() if b.is_floating_point()]
    losses = [
        float(task_step(players.with_learners({"task"}), a_batch(), made, fabric).losses["task"]) for _ in range(15)
    ]
    assert losses[-1] < 0.5 * losses[0]
    after = [b for b in players.tasks["task"].buffers() if b.is_floating_point()]
    assert any(not torch.equal(one, other) for one, other in zip(statistics, after, strict=True))


def test_an_untaught_task_network_depends_on_its_seed_alone(asked: Make) -> None:
    torch.manual_seed(1)
    one = build_task(asked().task)
    torch.manual_seed(2)
    torch.testing.assert_close(flat(build_task(asked().task)), flat(one), rtol=0, atol=0)


def test_norms_of_two_devices_count_their_mean() -> None:
    network = torch.nn.BatchNorm2d(2)
    ours = {name: buffer.clone() for name, buffer in network.named_buffers()}

    class Two:
        world_size = 2

        @staticmethod
        def all_reduce(values: torch.Tensor, reduce_op: str) -> torch.Tensor:
            assert reduce_op == "mean"
            return (values + 3 * values) / 2  # the other device counted three times as much

    average_statistics(network, Two())
    torch.testing.assert_close(network.running_var, 2 * ours["running_var"])
    assert network.num_batches_tracked == ours["num_batches_tracked"]


# --- Runs ----------------------------------------------------------------------------------------------------


def killed_at(run: Path, made: Recipe, cohort: Path, done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import taskgan.train.loop as loop

    real, made_steps = loop.set_learning_rate, []

    def kill(players: Any, recipe: Any, own: Any, number: int) -> float:
        if number == done:
            raise KeyboardInterrupt
        made_steps.append(number)
        return real(players, recipe, own, number)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "set_learning_rate", kill)
        with pytest.raises(KeyboardInterrupt):
            train(made, cohort, run)
    assert made_steps


def test_three_phases_from_end_to_end_and_killed_in_each_equal_uninterrupted(
    asked: Make, contrasts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asked(validation={"every": 4, "save_every": 2})
    train(made, contrasts, tmp_path / "whole")
    for done in (5, 9, 15):  # in each phase; the last checkpoints are of steps 4, 8 and 14
        killed_at(tmp_path / "killed", made, contrasts, done, monkeypatch)
    train(made, contrasts, tmp_path / "killed")
    assert same(contents(tmp_path / "whole"), contents(tmp_path / "killed"))

    whole = tmp_path / "whole"
    phases = column(whole, "phase")
    assert [phases[number] for number in (4, 6, 8, 13, 14, 18)] == [
        "contrasts", "contrasts", "turns", "turns", "mixed", "mixed",
    ]  # fmt: skip
    clean, psnr = column(whole, "val_task_clean"), column(whole, "val_psnr")
    assert [number for number, value in clean.items() if value] == [4]
    assert [number for number, value in psnr.items() if value] == [8, 12, 16, 18]
    rates = column(whole, "rate")
    assert rates[4] == "0"
    assert float(rates[8]) > 0
    assert column(whole, "pixel")[6] == ""
    for name in ("T2w", "T1w", "PDw"):
        assert float(column(whole, f"val_psnr_{name}")[18]) > 0
    mean = np.mean([float(column(whole, f"val_psnr_{name}")[18]) for name in ("T2w", "T1w", "PDw")])
    assert mean == pytest.approx(float(psnr[18]), abs=1e-4)

    _, card = read_model(whole)
    assert card.data.conditions == ("T2w", "T1w", "PDw")
    assert card.step in (8, 12, 16, 18)
    assert set(card.measured) >= {"val_psnr", "val_psnr_T1w"}
    assert "- PDw" in (whole / "recipe.yaml").read_text()


def test_a_border_without_a_checkpoint_is_crossed_again(
    asked: Make, contrasts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asked(validation={"every": 100, "save_every": 5})
    train(made, contrasts, tmp_path / "whole")
    killed_at(tmp_path / "killed", made, contrasts, 8, monkeypatch)  # saved at 5, before the border at 6
    train(made, contrasts, tmp_path / "killed")
    assert same(contents(tmp_path / "whole"), contents(tmp_path / "killed"))


def test_gan_passes_over_the_task_networks_phase_and_takes_the_same_steps(
    asked: Make, contrasts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With μ = 0 in effect, task_gan walks the very path of gan through the phases that they share."""
    weak = {"loss__mu_task": 1e-30, "loss__lambda_gan": 1e-30}
    train(asked(objective="gan", **weak), contrasts, tmp_path / "gan")
    assert "phase contrasts is passed over" in capsys.readouterr().out
    train(asked(objective="task_gan", **weak), contrasts, tmp_path / "task_gan")
    gan, task_gan = (column(tmp_path / name, "pixel") for name in ("gan", "task_gan"))
    assert min(gan) > 6
    assert gan == {number: value for number, value in task_gan.items() if number > 6}
    killed_at(tmp_path / "again", asked(objective="gan", **weak), contrasts, 12, monkeypatch)
    train(asked(objective="gan", **weak), contrasts, tmp_path / "again")
    assert same(contents(tmp_path / "gan"), contents(tmp_path / "again"))


def test_the_average_begins_when_the_generator_does(
    asked: Make, contrasts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import taskgan.train.session as ema

    seen: list[int] = []
    real = ema.Ema.update
    monkeypatch.setattr(ema.Ema, "update", lambda self, number: (seen.append(number), real(self, number))[1])
    train(asked(), contrasts, tmp_path / "run")
    assert seen == list(range(12))


def test_patience_ends_the_last_phase_only(asked: Make, contrasts: Path, tmp_path: Path) -> None:
    made = asked(validation={"every": 1, "save_every": 10, "patience": 2}, optimiser={"lr": 1e-12, "batch_size": 4})
    train(made, contrasts, tmp_path / "run")
    state = load_checkpoint(tmp_path / "run")
    assert state is not None
    assert state["standing"]["finished"]
    assert 13 < state["standing"]["done"] < 18


@pytest.mark.parametrize(("objective", "conditioning"), [("l1", "film"), ("cycle_gan", "planes")])
def test_other_objectives_know_conditions_too(
    asked: Make, contrasts: Path, tmp_path: Path, objective: str, conditioning: str
) -> None:
    made = asked(
        objective=objective,
        generator__conditioning=conditioning,
        schedule=[{"name": "turns", "steps": 3, "conditions": "in_turn", "turn": 1}, {"name": "m", "steps": 2}],
    )
    train(made, contrasts, tmp_path / "run")
    assert read_model(tmp_path / "run")[1].generator.conditioning == conditioning


def test_one_generator_per_contrast_is_a_selection(asked: Make, contrasts: Path, tmp_path: Path) -> None:
    data = {key: value for key, value in TOLD["data"].items() if key != "condition"}
    made = asked(
        objective="l1", data={**data, "select": {"contrast": "T1w"}, "balanced": False}, schedule=[], optimiser__steps=2
    )
    train(made, contrasts, tmp_path / "run")
    _, card = read_model(tmp_path / "run")
    assert card.data.channels == 2
    assert card.data.select == {"contrast": "T1w"}


def test_what_only_the_table_can_tell_is_refused_before_training(asked: Make, contrasts: Path, tmp_path: Path) -> None:
    phases = [{"name": "one", "steps": 3, "conditions": ["STIR"]}]
    with pytest.raises(UserError, match="phase one names the condition STIR, expected some of T2w, T1w, PDw"):
        train(asked(schedule=phases), contrasts, tmp_path / "run")
    with pytest.raises(UserError, match="no column 'sequence'"):
        train(asked(data={**TOLD["data"], "condition": "sequence"}), contrasts, tmp_path / "run")
    table = contrasts / "pairs.csv"
    table.write_text(table.read_text().replace("val,PDw", "val,STIR"))
    with pytest.raises(Problems, match="has contrast 'STIR', expected one of"):
        train(asked(), contrasts, tmp_path / "run")
    assert not (tmp_path / "run").exists()
