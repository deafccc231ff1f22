import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.targets import resolved_recipe
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe, parse_recipe
from taskgan.train.run import train

Make = Callable[..., Recipe]


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("objective", ["l1", "gan", "task_gan", "cycle_gan"])
def test_a_run_leaves_what_the_house_promises(
    recipe: Make, cohort: Path, tmp_path: Path, objective: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, run = recipe(objective=objective), tmp_path / "run"
    assert train(asked, cohort, run) == run / "model"
    assert {p.name for p in run.iterdir()} == {
        "recipe.yaml", "run.yaml", "metrics.csv", "last.ckpt", "model", "tensorboard",
    }  # fmt: skip
    assert f"{objective}-seed0-fold0" in (run / "model" / "model.yaml").read_text()
    assert parse_recipe(read_yaml(run / "recipe.yaml"), "recipe.yaml") == resolved_recipe(asked, read_pairs(cohort))
    rows = rows_of(run)
    assert [row["step"] for row in rows] == ["5", "10", "12"]
    assert all(bool(row["adversarial"]) == (objective != "l1") for row in rows)
    assert all(bool(row["val_task_mae"]) == (objective == "task_gan") for row in rows)
    assert all(bool(row["cycle"]) == bool(row["identity"]) == (objective == "cycle_gan") for row in rows)
    assert all(bool(row["pixel"]) == (objective != "cycle_gan") for row in rows)  # it sees no pairs
    _, card = read_model(run)
    best = max(rows, key=lambda row: float(row["val_psnr"]))
    assert card.step == int(best["step"])
    assert card.measured["val_psnr"] == pytest.approx(float(best["val_psnr"]), rel=1e-6)
    assert card.seen.subjects == 4
    assert card.seen.plane == ((16, 16), (16, 16))
    assert card.seen.voxel_size == ((2, 2), (2, 2), (2.5, 2.5))
    assert card.seen.scale[0] > 100  # in the images' units
    assert set(torch.load(run / "last.ckpt", weights_only=True)["networks"]) >= {"generator"}
    record = read_yaml(run / "run.yaml")
    assert record["status"] == "complete"
    assert record["machine"] == {"precision": "32", "channels_last": False, "compile": False}
    assert str(tmp_path) not in (run / "run.yaml").read_text()
    said = capsys.readouterr().out
    assert f"taskgan restore {run / 'model'}" in said.splitlines()[-1]


def test_the_model_is_the_average_of_g_and_validated_as_restore_restores(
    recipe: Make, cohort: Path, tmp_path: Path
) -> None:
    import numpy as np

    from taskgan.images.volumes import read_volume
    from taskgan.model.restorer import Restorer

    run = tmp_path / "run"
    train(recipe(objective="l1", optimiser__ema=0.9), cohort, run)
    state = torch.load(run / "last.ckpt", weights_only=True)
    _, card = read_model(run)
    weights = load_file(run / "model" / "generator.safetensors")
    if card.step == state["standing"]["done"]:
        assert all(torch.equal(weights[name], value) for name, value in state["ema"].items())
    assert not all(torch.equal(weights[name], value) for name, value in state["networks"]["generator"].items())
    restorer = Restorer.from_folder(run / "model", precision="32")
    found = []
    for case in ("val0", "val1"):
        degraded, clean = (read_volume(cohort / f"{case}_{name}.nii.gz").data for name in ("degraded", "clean"))
        error = np.sqrt(np.mean((restorer.restore_volume(degraded).image.astype(float) - clean) ** 2))
        found.append(20 * np.log10(clean.max() / error))
    assert card.measured["val_psnr"] == pytest.approx(np.mean(found), abs=1e-3)


def test_training_learns_to_restore(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    asked = recipe(objective="l1", optimiser__steps=200, validation__every=100, generator__residual=True)
    train(asked, cohort, tmp_path / "run")
    values = [float(row["val_psnr"]) for row in rows_of(tmp_path / "run") if row["val_psnr"]]
    pixel = [float(row["pixel"]) for row in rows_of(tmp_path / "run")]
    assert values[-1] > values[0] > 10
    assert pixel[-1] < 0.8 * pixel[0]


def test_a_finished_run_says_so_and_stays(
    recipe: Make, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(recipe(objective="l1"), cohort, run)
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    capsys.readouterr()
    assert train(recipe(objective="l1"), cohort, run) == run / "model"
    assert "was already finished after 12 steps" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_another_recipe_is_refused_with_the_keys_that_differ(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe(objective="l1"), cohort, run)
    other = recipe(objective="l1", optimiser__steps=50, generator__width=5)
    with pytest.raises(UserError, match=r"generator.width \(4 there, 5 here\), optimiser.steps \(12 there, 50 here\)"):
        train(other, cohort, run)
    model = (run / "model" / "model.yaml").read_text()
    (run / "notes.txt").write_text("mine")
    train(other, cohort, run, overwrite=True)
    assert (run / "model" / "model.yaml").read_text() != model
    assert rows_of(run)[-1]["step"] == "50"
    assert (run / "notes.txt").read_text() == "mine"


def test_where_it_runs_may_change(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    train(recipe(objective="l1"), cohort, tmp_path / "run")
    train(recipe(objective="l1", machine__threads=1, data__workers=1), cohort, tmp_path / "run")


def test_somebody_elses_folder_is_refused(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"is not a run \(it holds thesis.tex\)"):
            train(recipe(), cohort, tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_changed_cohort_is_refused(
    recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, run = make_cohort(tmp_path / "cohort"), tmp_path / "run"
    asked = recipe(objective="l1")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("taskgan.train.run.train_loop", killed)
        with pytest.raises(KeyboardInterrupt):
            train(asked, cohort, run)
    shutil.copy(cohort / "train0_clean.nii.gz", cohort / "train1_clean.nii.gz")
    with pytest.raises(UserError, match="the cohort has changed since"):
        train(asked, cohort, run)


def test_a_broken_cohort_is_found_before_anything_is_trained(
    recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort")
    (cohort / "train0_clean.nii.gz").unlink()
    (cohort / "val1_degraded.nii.gz").write_bytes(b"")
    with pytest.raises(Problems) as caught:
        train(recipe(), cohort, tmp_path / "run")
    assert len(caught.value.problems) == 2
    assert not (cohort / "derivatives").exists()
    assert not (tmp_path / "run").exists()


def test_early_stopping_ends_the_run_and_keeps_the_best_model(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    asked = recipe(
        objective="l1", optimiser__lr=1e-12, optimiser__steps=100, validation__every=2, validation__patience=3,
        optimiser__ema=0.0,
    )  # fmt: skip
    train(asked, cohort, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["standing"]
    assert state["finished"]
    assert state["done"] < 100
    assert state["stale"] == 3
    assert read_model(tmp_path / "run")[1].step == state["best_step"] == state["done"] - 6


def test_the_objective_can_pick_the_best_model(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    asked = recipe(objective="task_gan", validation__metric="objective")
    train(asked, cohort, tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    best = min(rows, key=lambda row: float(row["val_objective"]))
    assert read_model(tmp_path / "run")[1].step == int(best["step"])


@pytest.mark.parametrize("objective", ["gan", "cycle_gan"])
def test_extra_inputs_and_neighbours_train_and_are_restored(
    recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path, objective: str
) -> None:
    cohort = make_cohort(tmp_path / "cohort", size=13)
    table = (cohort / "pairs.csv").read_text().splitlines()
    lines = [table[0] + ",t1", *(f"{line},{line.split(',')[3]}" for line in table[1:])]
    (cohort / "pairs.csv").write_text("\n".join(lines) + "\n")
    asked = recipe(objective=objective, data={"inputs": ["degraded", "t1"], "neighbours": 1})
    train(asked, cohort, tmp_path / "run")
    state, card = read_model(tmp_path / "run")
    assert card.data.channels == 6
    assert state["down.0.0.weight"].shape[1] == 6


def test_tensorboard_is_optional(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    train(recipe(objective="l1"), cohort, tmp_path / "run")
    assert capsys.readouterr().out.count("tensorboard is not installed") == 1
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert len(rows_of(tmp_path / "run")) == 3


def test_tensorboard_shows_input_restored_and_clean(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(recipe(objective="l1"), cohort, tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["images"]) == {"validation/val0", "validation/val1"}
    image = events.Images("validation/val0")[-1]
    assert (image.width, image.height) == (48, 16)
    assert [point.step for point in events.Scalars("validation/psnr")] == [5, 10, 12]


def test_auto_is_measured_once_and_goes_with_the_run(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("taskgan.train.machine.seconds_per_step.__kwdefaults__", {"budget": 0.0})
    auto = {"accelerator": "cpu", "precision": "auto", "channels_last": "auto", "compile": "auto"}
    for objective in ("l1", "gan"):
        train(recipe(objective=objective, machine=auto), cohort, tmp_path / objective)
    assert capsys.readouterr().out.count("measured on this machine") == 1
    choices = [read_yaml(tmp_path / objective / "run.yaml")["machine"] for objective in ("l1", "gan")]
    assert choices[0] == choices[1]
    assert "auto" not in choices[0].values()

    def forbidden(*_: object) -> None:
        raise AssertionError("a run that goes on must keep its settings")

    monkeypatch.setattr("taskgan.train.run.choose_machine", forbidden)
    monkeypatch.setattr("taskgan.train.run.load_checkpoint", lambda run: None)  # killed before the first one
    train(recipe(objective="l1", machine=auto), cohort, tmp_path / "l1")


@pytest.mark.parametrize("native", [True, False])
def test_a_run_in_emulated_bf16_says_so_once(
    recipe: Make,
    cohort: Path,
    tmp_path: Path,
    native: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("taskgan.core.tensors.bf16_is_native", lambda: native)
    train(recipe(objective="l1", optimiser__steps=1, machine__precision="bf16"), cohort, tmp_path / "run")
    assert capsys.readouterr().out.count("which this CPU emulates") == (not native)


def test_labels_are_not_needed_by_those_who_do_not_use_them(
    recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort")
    lines = (cohort / "pairs.csv").read_text().splitlines()
    (cohort / "pairs.csv").write_text("\n".join([lines[0], *(line[:-1] for line in lines[1:])]) + "\n")
    with pytest.raises(Problems, match="has no label"):
        train(recipe(objective="gan"), cohort, tmp_path / "run")
    train(recipe(objective="gan", data__balanced=False), cohort, tmp_path / "other")


def test_overwrite_keeps_the_old_run_where_the_new_one_cannot_start(
    recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, run = make_cohort(tmp_path / "cohort"), tmp_path / "run"
    train(recipe(objective="l1"), cohort, run)
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    (cohort / "train0_clean.nii.gz").unlink()
    with pytest.raises(Problems, match="does not exist"):
        train(recipe(objective="l1", optimiser__steps=5), cohort, run, overwrite=True)
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_a_run_that_never_began_may_change_its_recipe(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("taskgan.train.run.write_yaml", killed)  # after recipe.yaml, before run.yaml
        with pytest.raises(KeyboardInterrupt):
            train(recipe(objective="gan"), cohort, run)
    assert [p.name for p in run.iterdir()] == ["recipe.yaml"]
    train(recipe(objective="l1"), cohort, run)
    assert read_yaml(run / "recipe.yaml")["objective"] == "l1"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"discriminator__widths": [4] * 5}, "16×16, too small for a discriminator of 5 layers"),
        ({"data__augment": {"shift": 8}}, "data.augment.shift is 8, expected less than half"),
        ({"task__pretrain__augment": {"shift": 9}}, "task.pretrain.augment.shift is 9"),
    ],
)
def test_what_does_not_fit_the_images_is_said_before_anything_is_trained(
    recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    cohort = make_cohort(tmp_path / "cohort")
    with pytest.raises(UserError, match=expected):
        train(recipe(**changes), cohort, tmp_path / "run")
    assert not (cohort / "derivatives").exists()
    assert not (tmp_path / "run").exists()


def test_a_table_without_labels_is_enough_for_those_who_do_not_use_them(
    recipe: Make, make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort")
    lines = (cohort / "pairs.csv").read_text().splitlines()
    (cohort / "pairs.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    with pytest.raises(Problems, match="no column label .objectives l1, gan and cycle_gan train without"):
        train(recipe(), cohort, tmp_path / "run")
    train(recipe(objective="l1", data__balanced=False), cohort, tmp_path / "run")


def test_a_model_can_be_read_by_colleagues(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    train(recipe(), cohort, tmp_path / "run")
    for weights in [tmp_path / "run" / "model" / "generator.safetensors", *cohort.rglob("*.safetensors")]:
        assert weights.stat().st_mode & 0o044 == 0o044, weights.name
