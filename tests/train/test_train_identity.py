"""Identity as a property of photos: descriptors matched, or people told apart, with T frozen or learning on."""

import csv
from pathlib import Path

import pytest

from procedural_lfw import procedural_lfw
from taskgan.core.errors import Problems
from taskgan.prepare.lfw import LfwPreparation, prepare_lfw
from taskgan.recipe import Recipe, read_recipe
from taskgan.recipe.generator import Blur, Down
from taskgan.train.run import train

TINY = (
    "generator={width: 4, max_width: 8, depth: 3, norm: instance, dropout_layers: 1, residual: true}",
    "discriminator={widths: [4, 4, 4], norm: instance}",
    "task.size=8",
    *(f"task.pretrain.{key}" for key in ("steps=2", "width=4", "batch_size=4")),
    *(f"{key}=2" for key in ("optimiser.steps", "validation.every", "validation.save_every")),
    "data.augment.shift=0",
    "optimiser.batch_size=4",
    "machine.threads=1",
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces")
    lfw = procedural_lfw(root / "data", people=12)
    steps = (Blur(sigma=2), Down(factor=4))
    return prepare_lfw(lfw, root / "cohort", LfwPreparation(degradation=steps, crop=128, size=32), workers=1)


def _recipe(*changes: str) -> Recipe:
    return read_recipe("face-demo", [*TINY, *changes])


@pytest.mark.parametrize(("form", "training"), [("squared", "frozen"), ("proper", "frozen"), ("proper", "joint")])
def test_each_form_of_the_identity_loss_reaches_the_generator(
    cohort: Path, tmp_path: Path, form: str, training: str
) -> None:
    run = tmp_path / "run"
    train(_recipe(f"task.loss={form}", f"task.training={training}"), cohort, run)
    with (run / "metrics.csv").open(newline="") as handle:
        last = list(csv.DictReader(handle))[-1]
    assert float(last["task"]) > 0
    assert float(last["val_task_mae"]) > 0  # of people nobody learnt


def test_people_are_no_classes_of_a_table(cohort: Path, tmp_path: Path) -> None:
    """Whoever validates is none of the people that were learnt, so that a class each cannot be trained."""
    recipe = _recipe(
        "task={kind: multi_class, classes: 5000, training: joint, pretrain: {network: resnet10, steps: 2}}",
        "judge={network: convnet, seed: 1000}",
    )
    with pytest.raises(Problems, match=r"and \d+ more; training needs all 5000 classes; .* are of kind embedding"):
        train(recipe, cohort, tmp_path / "run")
    assert not (tmp_path / "run").exists()
