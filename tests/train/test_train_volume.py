"""A generator of volumes goes through the same loop, checkpoint, card and restorer as one of slices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml

from run_contents import contents, same
from taskgan.core.errors import Problems
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.model.folder import read_model
from taskgan.model.restorer import Restorer
from taskgan.networks.volume_unet import VolumeUNet
from taskgan.recipe import Recipe, parse_recipe
from taskgan.restore.run import restore
from taskgan.train.run import train

Make = Callable[..., Recipe]
VOLUME: dict[str, Any] = {
    "generator": {"dimensions": 3, "width": 3, "max_width": 4, "residual": 4},
    "data__context": [4, 8],
    "data__patch": [12, 10, 3],
    "optimiser__batch_size": 2,
}


@pytest.mark.parametrize("objective", ["l1", "task_gan"])
def test_resumed_in_the_middle_it_ends_as_if_it_had_not_stopped(
    recipe: Make, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    asked = recipe(objective=objective, **VOLUME)
    train(asked, cohort, tmp_path / "whole")
    from taskgan.train.metrics import MetricsLogger

    real, calls = MetricsLogger.log_row, 0

    def killed(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLogger, "log_row", killed)
        with pytest.raises(KeyboardInterrupt):
            train(asked, cohort, tmp_path / "run")
    train(asked, cohort, tmp_path / "run")
    assert same(contents(tmp_path / "whole"), contents(tmp_path / "run"))


def test_the_model_folder_restores_files_as_validation_saw_them(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    model = train(recipe(objective="l1", **VOLUME), cohort, tmp_path / "run")
    restore(model, cohort, tmp_path / "restored", split="test")
    restorer = Restorer.from_folder(model)
    assert isinstance(restorer._network, VolumeUNet)
    image = nib.load(cohort / "test0_degraded.nii.gz")
    written = nib.load(tmp_path / "restored" / "test0.nii.gz").get_fdata(dtype=np.float32)  # type: ignore[attr-defined]
    degraded = image.get_fdata(dtype=np.float32)  # type: ignore[attr-defined]
    expected = restorer.restore(degraded, spacing=(2.0, 2.0, 2.5))
    np.testing.assert_allclose(written, expected, rtol=1e-5)
    assert np.abs(written - degraded).max() > 0
    evaluate(tmp_path / "restored", cohort, tmp_path / "evaluation", readers={})
    assert set(read_case_table(tmp_path / "evaluation")["method"]) == {"l1", "input", "clean"}


def test_a_card_and_a_recipe_without_the_new_keys_are_read_as_before(
    recipe: Make, cohort: Path, tmp_path: Path
) -> None:
    model = train(recipe(objective="l1"), cohort, tmp_path / "run")
    image = np.random.default_rng(0).gamma(2.0, 1.0, (16, 16, 4)).astype(np.float32)
    restored = Restorer.from_folder(model).restore(image)
    card = yaml.safe_load((model / "model.yaml").read_text())
    for section, keys in (("data", ("context", "patch")), ("generator", ("dimensions",))):
        for key in keys:
            del card[section][key]
    (model / "model.yaml").write_text(yaml.safe_dump(card))
    state, old = read_model(model)
    assert (old.data.context, old.data.patch, old.generator.dimensions) == ((), None, 2)
    assert len(state)
    np.testing.assert_array_equal(Restorer.from_folder(model).restore(image), restored)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": {"dimensions": 3}}, "dimensions is 3 without data.patch"),
        ({"data": {"patch": [8, 8, 4]}}, "data.patch is for generator.dimensions 3, found 2"),
        ({"generator": {"residual": 4}}, r"expected one of data.context \(empty\)"),
        ({"generator": {"dimensions": 3, "norm": "instance"}}, "norm is instance of a generator of 3 dimensions"),
        ({"generator": {"dimensions": 3, "dropout": 0.5}}, "dropout is 0.5 of a generator of 3 dimensions"),
        ({"objective": "cycle_gan", "data": {"context": [4]}}, "cycle_gan has no data.context"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Problems, match=message):
        parse_recipe(changes, "mine.yaml")
