from pathlib import Path

import pytest

from taskgan.recipe import read_recipe

FACES = ["face", "face-demo", Path(__file__).parents[2] / "experiments" / "lfw-faces.yaml"]


@pytest.mark.parametrize("name", FACES, ids=lambda name: Path(name).stem)
def test_a_face_recipe_reads_photos_and_matches_descriptors(name: str | Path) -> None:
    recipe = read_recipe(name)
    assert (recipe.data.intensity.kind, recipe.data.intensity.output) == ("none", "unit")
    assert recipe.data.balanced is False  # most people have one image
    task = recipe.task
    assert (task.kind, task.columns, task.loss, task.training) == ("embedding", ("subject",), "squared", "frozen")
    assert recipe.judge.network != task.pretrain.network
    assert recipe.judge.seed != task.pretrain.seed


def test_the_recipe_for_a_gpu_has_the_papers_networks() -> None:
    recipe = read_recipe("face")
    assert (recipe.generator.depth, recipe.generator.width, recipe.generator.max_width) == (8, 64, 512)
    assert recipe.discriminator.widths == (64, 128, 256, 512, 512, 512)
    assert recipe.task.pretrain.network == "vgg_face"
    moved = read_recipe("face", ["task.pretrain.weights=/elsewhere/vgg-face.mat"])
    assert moved.task.pretrain.weights == "/elsewhere/vgg-face.mat"


def test_the_experiment_keeps_the_grid_that_its_projection_needs() -> None:
    assert read_recipe(FACES[-1], ["generator.projection=1"]).data.augment.shift == 0


def test_the_experiment_reads_with_the_recognisers_of_their_own_recipe() -> None:
    ours, theirs = read_recipe(FACES[-1]), read_recipe("face-recogniser")
    assert (ours.task, ours.judge) == (theirs.task, theirs.judge)
    assert (ours.data.intensity, ours.data.min_signal) == (theirs.data.intensity, theirs.data.min_signal)
