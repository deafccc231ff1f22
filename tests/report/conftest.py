from collections.abc import Callable
from pathlib import Path

import pytest

from fake_cohort import StubReader, blur, make_cohort, make_restorations, shrink
from taskgan.evaluate.run import evaluate

METHODS = {"l1": blur(1.0), "gan": shrink(0.6, 0.08), "task_gan": shrink(0.9, 0.05)}


@pytest.fixture(scope="session")
def fake_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders of three methods with their evaluations, on eight test subjects, two seeds of GAN."""
    root = tmp_path_factory.mktemp("runs")
    cohort = make_cohort(root / "cohort")
    readers = {"task": StubReader(), "judge": StubReader(1.55, 5.0)}
    for name, seed in (("l1", 0), ("gan", 0), ("gan", 1), ("task_gan", 0)):
        run = root / f"{name}-{seed}"
        restored = make_restorations(run / "restored", cohort, name, METHODS[name], seed=seed)
        evaluate(restored, cohort, run / "evaluation", readers=readers)
        lines = ["step,pixel,adversarial,val_psnr", *(f"{s},{1 / s},0.5,{20 + s / 100}" for s in (50, 100))]
        (run / "metrics.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def evaluations(fake_runs: Path) -> list[Path]:
    return [fake_runs / n / "evaluation" for n in ("task_gan-0", "l1-0", "gan-0", "gan-1")]


@pytest.fixture
def one_evaluation(fake_runs: Path, tmp_path: Path) -> Callable[..., Path]:
    """Evaluate one more set of fake restorations of the same cohort."""

    def make(name: str, seed: int = 0, *, cases: int = 8, cut: float = 1.55) -> Path:
        cohort = fake_runs / "cohort"
        restored = make_restorations(tmp_path / "more" / name, cohort, name, blur(0.4), seed=seed)
        table = restored / "restored.csv"
        table.write_text("\n".join(table.read_text().splitlines()[: cases + 1]) + "\n")
        readers = {"task": StubReader(), "judge": StubReader(cut, 5.0)}
        return evaluate(restored, cohort, tmp_path / "more" / f"{name}-evaluation", readers=readers)

    return make
