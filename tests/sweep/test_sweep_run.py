import csv
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.targets import resolved_recipe
from taskgan.core.errors import Failed, UserError
from taskgan.core.files import read_yaml, write_text
from taskgan.recipe import read_recipe
from taskgan.sweep.folder import run_digest
from taskgan.sweep.run import SweepOptions, run_sweep
from workshop import Workshop

MU = ("loss.mu_task=0.01,0.1,1",)


@pytest.fixture
def asked(cohort: Path, tmp_path: Path) -> SweepOptions:
    return SweepOptions("pet-demo", cohort, tmp_path / "out", MU, overrides=("discriminator.widths=[4,8]",))


def table(asked: SweepOptions) -> list[dict[str, str]]:
    with (asked.out / "sweep.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_grid_becomes_runs_a_table_a_figure_and_a_choice(
    asked: SweepOptions, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sweep(asked)
    assert [recipe.mu_task for recipe in workshop.trained] == [0.01, 0.1, 1.0]
    assert set(workshop.splits) == {"val"}
    rows = table(asked)
    assert [row["loss.mu_task"] for row in rows] == ["0.01", "0.1", "1"]
    first = rows[0]
    assert (first["status"], first["steps"], first["best_step"], first["subjects"]) == ("finished", "900", "5", "7")
    assert float(first["psnr"]) == pytest.approx(28.9, abs=0.01)
    assert float(first["suvr_slope"]) == pytest.approx(0.9)
    assert float(first["suvr_error"]) == pytest.approx(0.14)
    assert float(first["seconds"]) >= 0
    assert (asked.out / first["run"] / "recipe.yaml").is_file()
    record = read_yaml(asked.out / "sweep.yaml")
    assert record["status"] == "complete"
    assert record["chosen"]["setting"] == "mu_task=0.1"
    assert record["rule"].startswith("smallest error of the judge among settings whose PSNR is within 0.3 dB")
    assert record["grid"] == {"loss.mu_task": [0.01, 0.1, 1]}
    assert len(record["settings"]) == 3
    assert record["settings"][0]["to_chosen"]["judge_mae"]["low"] > 0
    out = capsys.readouterr().out
    assert "[2/3] mu_task=0.1, seed 0, about" in out
    assert out.splitlines()[-1].startswith("chosen: mu_task=0.1. Next: taskgan train pet-demo ")


def test_the_command_at_the_end_trains_the_chosen_setting(asked: SweepOptions, workshop: Workshop) -> None:
    grid = ("loss.feature_layers=null,[1],[0,1]", "objective=gan,task_gan", "discriminator.conditional=true")
    run_sweep(replace(asked, grid=grid, seeds="4,5"))
    words = shlex.split(read_yaml(asked.out / "sweep.yaml")["chosen"]["command"])
    assert words[:5] == ["taskgan", "train", "pet-demo", str(asked.cohort), "RUN"]
    assert set(words[5::2]) == {"--set"}
    recipe = resolved_recipe(read_recipe(words[2], words[6::2]), read_pairs(asked.cohort))
    run = next(
        row for row in table(asked) if row["setting"] == read_yaml(asked.out / "sweep.yaml")["chosen"]["setting"]
    )
    assert run_digest(recipe) == run_digest(read_recipe(asked.out / run["run"] / "recipe.yaml"))


def test_a_killed_sweep_goes_on_and_finished_settings_are_kept(
    asked: SweepOptions, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.kill = 2
    with pytest.raises(KeyboardInterrupt):
        run_sweep(asked)
    assert not (asked.out / "sweep.csv").exists()
    workshop.kill = 0
    run_sweep(asked)
    assert [recipe.mu_task for recipe in workshop.trained] == [0.01, 0.1, 0.1, 1.0]
    assert "1 of 3 runs are there" in capsys.readouterr().out
    rows = table(asked)
    assert [bool(row["seconds"]) for row in rows] == [True, False, True]  # interrupted: no time is claimed
    again = (asked.out / "sweep.csv").read_bytes()
    run_sweep(asked)
    assert len(workshop.trained) == 4
    assert again == (asked.out / "sweep.csv").read_bytes()


def test_another_grid_adds_to_the_same_folder(asked: SweepOptions, workshop: Workshop) -> None:
    run_sweep(asked)
    run_sweep(replace(asked, grid=("loss.mu_task=0.1,0.3", "loss.lambda_gan=0.3,1")))
    made = [(recipe.mu_task, recipe.lambda_gan) for recipe in workshop.trained[3:]]
    assert made == [(0.1, 1.0), (0.3, 0.3), (0.3, 1.0)]  # μ = 0.1 at the recipe's own λ is there
    rows = table(asked)
    assert len(rows) == 6
    assert {row["loss.lambda_gan"] for row in rows} == {"0.3", "1"}
    assert all((asked.out / row["run"] / "recipe.yaml").is_file() for row in rows)


def test_seeds_are_averaged_and_add_up(asked: SweepOptions, workshop: Workshop) -> None:
    run_sweep(asked)
    run_sweep(replace(asked, seeds="0,1,2"))
    assert len(workshop.trained) == 9
    settings = read_yaml(asked.out / "sweep.yaml")["settings"]
    assert [one["seeds"] for one in settings] == [[0, 1, 2]] * 3
    assert len(table(asked)) == 9


def test_a_changed_recipe_is_refused_and_says_what_changed(asked: SweepOptions, workshop: Workshop) -> None:
    run_sweep(asked)
    other = replace(asked, overrides=(*asked.overrides, "optimiser.lr=1e-4", "machine.threads=2"))
    with pytest.raises(UserError, match=r"another recipe: optimiser.lr \(0.001 there, 0.0001 here\); use"):
        run_sweep(other)
    assert len(workshop.trained) == 3
    run_sweep(replace(asked, overrides=(*asked.overrides, "machine.threads=2", "seed=0")))


def test_a_changed_cohort_is_refused(asked: SweepOptions, workshop: Workshop) -> None:
    run_sweep(asked)
    text = (asked.cohort / "pairs.csv").read_text()
    write_text(asked.cohort / "pairs.csv", text.replace("sub-val0,val,0", "sub-val0,val,1"))
    with pytest.raises(UserError, match="the cohort has changed"):
        run_sweep(asked)
    write_text(asked.cohort / "pairs.csv", text.replace("sub-test0,test,0", "sub-test0,test,1"))
    run_sweep(asked)  # what a test row says is nothing to a sweep


def test_a_setting_that_diverges_is_recorded_and_the_sweep_goes_on(
    asked: SweepOptions, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.diverges = lambda recipe: recipe.mu_task == 0.1 and recipe.seed == 1
    assert run_sweep(replace(asked, seeds="0,1")).failed == 1
    assert len(workshop.trained) == 6
    rows = table(asked)
    assert [row["status"] for row in rows] == ["finished", "finished", "finished", "diverged", "finished", "finished"]
    assert read_yaml(asked.out / "sweep.yaml")["chosen"]["setting"] != "mu_task=0.1"
    out = capsys.readouterr().out
    assert "failed with seed 1: pixel became NaN or infinite at step 3" in out
    assert out.splitlines()[-1].startswith(f"1 of 6 runs of {asked.out} failed")
    outcome = read_yaml(asked.out / rows[3]["run"] / "outcome.yaml")
    assert outcome["message"] == rows[3]["message"] == "pixel became NaN or infinite at step 3"
    run_sweep(replace(asked, seeds="0,1"))
    assert len(workshop.trained) == 6  # it would diverge again


def test_if_everything_diverges_so_does_the_sweep(asked: SweepOptions, workshop: Workshop) -> None:
    workshop.diverges = lambda recipe: recipe.objective != "gan"
    with pytest.raises(Failed, match="every setting"):
        run_sweep(replace(asked, against=("objective=gan",)))
    assert [row["status"] for row in table(asked)] == ["diverged"] * 3 + ["finished"]


def test_shares_of_an_array_job_and_the_call_that_joins(
    asked: SweepOptions, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (2, 1):
        run_sweep(replace(asked, part=f"{number}/2"))
        assert not (asked.out / "sweep.csv").exists()
    assert [recipe.mu_task for recipe in workshop.trained] == [0.1, 0.01, 1.0]
    assert "part 1/2 is done" in capsys.readouterr().out
    run_sweep(asked)
    assert len(workshop.trained) == 3
    assert len(table(asked)) == 3


def test_a_reference_is_made_and_compared_with_but_not_chosen(
    asked: SweepOptions, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    against = replace(asked, grid=("loss.mu_task=0.5,1",), against=("objective=gan",), choose="psnr")
    run_sweep(against)
    rows = table(asked)
    assert [row["reference"] for row in rows] == ["0", "0", "1"]
    assert float(rows[2]["psnr"]) > float(rows[0]["psnr"])
    record = read_yaml(asked.out / "sweep.yaml")
    assert record["chosen"]["setting"] == "mu_task=0.5"  # not "mu_task=0.5, objective=task_gan"
    assert record["against"] == {"objective": "gan"}
    assert "\nr  objective=gan" in capsys.readouterr().out


def test_equal_settings_are_said(asked: SweepOptions, workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    run_sweep(replace(asked, grid=("objective=gan,task_gan", "loss.mu_task=0.01,0.1")))
    assert len(workshop.trained) == 3
    assert "note: objective=gan, mu_task=0.1 is the same run as objective=gan: trained once" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": ()}, "nothing to sweep"),
        ({"grid": ("loss.mu_tsk=1",)}, "did you mean mu_task"),
        ({"choose": "best"}, "expected one of balanced"),
        ({"part": "3/2"}, "K from 1 to N"),
        ({"seeds": "x"}, "different whole numbers"),
        ({"against": ("objective=gan,l1",)}, "has 2 values, expected one"),
        ({"against": ("seed=1",)}, "--against seed cannot be swept"),
        ({"overrides": ("machine.devices=2",)}, "one device"),
        ({"grid": ("discriminator.widths=[4,8],[4,4,4,4,4]",)}, "too small for a discriminator of 5 layers"),
        ({"overrides": ("objective=recogniser",)}, "trains readers and no restorer"),
        ({"grid": ("objective=gan,recogniser",)}, "trains readers and no restorer"),
        ({"cohort": Path("nowhere")}, "nowhere does not exist"),
    ],
    ids=str,
)
def test_misuse_is_a_sentence_and_nothing_is_written(
    asked: SweepOptions, workshop: Workshop, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_sweep(replace(asked, **change))  # type: ignore[arg-type]
    assert not asked.out.exists()
    assert not workshop.trained


def test_a_folder_of_something_else_is_refused(asked: SweepOptions, workshop: Workshop) -> None:
    write_text(asked.out / "notes.txt", "mine")
    with pytest.raises(UserError, match=r"is no sweep \(it holds notes.txt\)"):
        run_sweep(asked)
    with pytest.raises(UserError, match="is a file, expected a folder"):
        run_sweep(replace(asked, out=asked.out / "notes.txt"))


def test_a_subject_in_test_and_validation_is_refused(asked: SweepOptions, workshop: Workshop) -> None:
    text = (asked.cohort / "pairs.csv").read_text()
    write_text(asked.cohort / "pairs.csv", text.replace("sub-test0", "sub-val0"))
    with pytest.raises(UserError, match=r"both in test and in train or val \(sub-val0\)"):
        run_sweep(asked)


def test_without_labels_it_asks_for_a_rule_that_needs_no_judge(asked: SweepOptions, workshop: Workshop) -> None:
    lines = (asked.cohort / "pairs.csv").read_text().splitlines()
    place = lines[0].split(",").index("label")
    bare = [",".join(w for i, w in enumerate(line.split(",")) if i != place) for line in lines]
    write_text(asked.cohort / "pairs.csv", "\n".join(bare) + "\n")
    with pytest.raises(UserError, match=r"'balanced' needs a judge, but .*--choose psnr"):
        run_sweep(asked)
    without = "\n".join(",".join(line.split(",")[:-1]) for line in bare)
    write_text(asked.cohort / "pairs.csv", without + "\n")
    with pytest.raises(UserError, match="no cortex and reference masks"):
        run_sweep(replace(asked, choose="suvr"))


def test_a_removed_run_is_made_anew(asked: SweepOptions, workshop: Workshop) -> None:
    run_sweep(asked)
    shutil.rmtree(asked.out / table(asked)[1]["run"])
    run_sweep(asked)
    assert [recipe.mu_task for recipe in workshop.trained[3:]] == [0.1]


GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79 GiB")
CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes.")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (GPU, "out of memory (tried to allocate 20.00 GiB)"),
        (CPU, "out of memory (tried to allocate 64 bytes)"),
        (MemoryError(), "out of memory"),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_a_setting_that_runs_out_of_memory_is_marked_and_tried_again_on_request_only(
    asked: SweepOptions, workshop: Workshop, error: BaseException, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.fails = lambda recipe: error if recipe.mu_task == 0.1 else None
    assert run_sweep(asked).failed == 1
    out = capsys.readouterr().out
    assert f"failed: {sentence}. The sweep goes on" in out
    assert f"mu_task=0.1   1      failed with seed 0: {sentence}\n" in out
    assert out.splitlines()[-1].startswith("1 of 3 runs of ")
    assert [row["status"] for row in table(asked)] == ["finished", "out of memory", "finished"]
    assert table(asked)[1]["message"] == sentence
    record = read_yaml(asked.out / "sweep.yaml")
    assert record["settings"][1]["failed"] == [f"failed with seed 0: {sentence}"]
    assert run_sweep(asked).failed == 1
    assert len(workshop.trained) == 3
    workshop.fails = lambda recipe: None
    assert run_sweep(replace(asked, retry=True)).failed == 0
    assert [recipe.mu_task for recipe in workshop.trained[3:]] == [0.1]
    assert workshop.anew[-1] is False  # it goes on from its last checkpoint
    assert [row["status"] for row in table(asked)] == ["finished"] * 3


def test_what_diverged_is_tried_again_from_its_beginning(asked: SweepOptions, workshop: Workshop) -> None:
    workshop.diverges = lambda recipe: recipe.mu_task == 0.1
    run_sweep(asked)
    workshop.kill = 4
    with pytest.raises(KeyboardInterrupt):
        run_sweep(replace(asked, retry=True))
    workshop.kill = 0
    workshop.diverges = lambda recipe: False
    assert run_sweep(asked).failed == 0  # the interrupted second try goes on without being asked
    assert workshop.anew == [False, False, False, True, False]


def test_another_error_stops_it(asked: SweepOptions, workshop: Workshop) -> None:
    workshop.fails = lambda recipe: RuntimeError("a bug") if recipe.mu_task == 0.1 else None
    with pytest.raises(RuntimeError, match="a bug"):
        run_sweep(asked)
    assert len(workshop.trained) == 2


def test_a_share_tells_what_failed_too(
    asked: SweepOptions, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.diverges = lambda recipe: recipe.mu_task == 0.01
    assert run_sweep(replace(asked, part="1/2")).failed == 1
    assert "1 of 2 runs of " in capsys.readouterr().out.splitlines()[-1]
    assert run_sweep(replace(asked, part="2/2")).failed == 0


def test_what_recipes_leave_to_the_data_makes_no_setting_another_one(asked: SweepOptions, workshop: Workshop) -> None:
    """Training writes centre and scale of a regression into the run's recipe."""
    regression = (*asked.overrides, "task.kind=regression", "task.labels=[label]")
    one = replace(asked, overrides=regression, against=("objective=gan",), choose="psnr")
    run_sweep(one)
    rows = table(one)
    assert [row["setting"] for row in rows] == ["mu_task=0.01", "mu_task=0.1", "mu_task=1", "objective=gan"]
    assert [row["reference"] for row in rows] == ["0", "0", "0", "1"]
    assert not any(key.startswith("task.") for key in rows[0])
    renamed = asked.out / "runs" / "another name"
    (asked.out / rows[1]["run"]).rename(renamed)
    run_sweep(one)
    assert len(workshop.trained) == 4  # it is known by what it is, not by its name
