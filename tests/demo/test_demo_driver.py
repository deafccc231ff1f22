import dataclasses
from pathlib import Path

import pytest

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml, write_yaml
from taskgan.demo import driver
from taskgan.demo.driver import Demo, run_demo
from taskgan.recipe import Recipe


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was called, in order, with the verbs replaced by ones that only leave their artefacts."""
    calls: list[str] = []

    def train(recipe: Recipe, cohort: Path, run: Path) -> None:
        calls.append(f"train {run.name} with {recipe.objective} on {cohort.name}")

    def evaluate(method: str, readers: Recipe, cohort: Path, run: Path) -> None:
        calls.append(f"evaluate {method}, judge seed {readers.judge.seed}")

    def report(runs: list[Path], out: Path) -> None:
        calls.append("compare " + " ".join(run.name for run in runs))

    for name, fake in (("_train", train), ("_evaluate", evaluate), ("_report", report)):
        monkeypatch.setattr(driver, name, fake)
    return calls


def _demo(calls: list[str], **changes: object) -> Demo:
    def restored(name: str, folder: Path) -> None:
        calls.append(f"restore {name}")
        write_yaml(folder / "restored.yaml", {"status": "complete"})

    demo = Demo(
        title="nothing",
        minutes=1,
        settings={"seed": 0},
        cohort_stage=("simulate: nothing", lambda cohort: calls.append(f"simulate {cohort.name}")),
        recipes={},
        readers=Recipe.model_validate({"judge": {"network": "convnet", "seed": 7}}),
        fit_methods={
            "fit": lambda cohort, folder: restored("fit", folder),
            "other": lambda cohort, folder: restored("other", folder),
        },
    )
    return dataclasses.replace(demo, **changes)  # type: ignore[arg-type]


def test_every_verb_once_and_all_methods_judged_by_the_same_readers(tmp_path: Path, done: list[str]) -> None:
    recipes = {"l1": Recipe(objective="l1")}
    (tmp_path / "out" / "runs" / "l1" / "restored").mkdir(parents=True)
    write_yaml(tmp_path / "out" / "runs" / "l1" / "restored" / "restored.yaml", {"status": "complete"})
    write_yaml(tmp_path / "out" / "demo.yaml", {"settings": {"seed": 0}, "seconds": {}, "peak_memory_mb": 0})
    page = run_demo(tmp_path / "out", _demo(done, recipes=recipes))
    assert page == tmp_path / "out" / "report" / "report.html"
    assert done == [
        "simulate cohort",
        "train l1 with l1 on cohort",
        "restore fit",
        "restore other",
        "evaluate fit, judge seed 7",
        "evaluate other, judge seed 7",
        "evaluate l1, judge seed 7",
        "compare fit other l1",
    ]


def test_it_goes_on_where_it_was_and_keeps_the_times(tmp_path: Path, done: list[str]) -> None:
    run_demo(tmp_path / "out", _demo(done))
    first = read_yaml(tmp_path / "out" / "demo.yaml")
    assert list(first["seconds"]) == [
        "simulate: nothing",
        "restore the test subjects with fit",
        "restore the test subjects with other",
        "evaluate fit",
        "evaluate other",
        "compare: tables, figures, report",
    ]
    done.clear()
    run_demo(tmp_path / "out", _demo(done))
    assert not [call for call in done if call.startswith("restore")]
    again = read_yaml(tmp_path / "out" / "demo.yaml")
    assert all(again["seconds"][name] >= seconds for name, seconds in first["seconds"].items())


def test_another_demo_is_not_written_over(tmp_path: Path, done: list[str]) -> None:
    run_demo(tmp_path / "out", _demo(done))
    done.clear()
    with pytest.raises(UserError, match="a demo with other settings"):
        run_demo(tmp_path / "out", _demo(done, settings={"seed": 1}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").touch()
    with pytest.raises(UserError, match="exists and holds no demo"):
        run_demo(tmp_path / "mine", _demo(done))
    assert done == []
