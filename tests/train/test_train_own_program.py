"""A run whose T is a program of the user's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.recipe import Recipe
from taskgan.train.metrics import read_metrics
from taskgan.train.run import train

Make = Callable[..., Recipe]


def exported(path: Path, outputs: int = 1) -> Path:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, outputs)
    )
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(network.eval(), (torch.zeros(2, 1, 16, 16),), dynamic_shapes=shapes), path)
    return path


@pytest.mark.parametrize(("precision", "channels_last"), [("32", False), ("32", True), ("bf16", True)])
def test_g_learns_from_it(recipe: Make, cohort: Path, tmp_path: Path, precision: str, channels_last: bool) -> None:
    machine: dict[str, Any] = {"machine__precision": precision, "machine__channels_last": channels_last}
    pretrain = {"network": "program", "weights": str(exported(tmp_path / "mine.pt2"))}
    wanted = recipe(objective="task_gan", task__pretrain=pretrain, task__features=0.1, optimiser__steps=2, **machine)
    model = train(wanted, cohort, tmp_path / "run")
    values = [row["task"] for row in read_metrics(tmp_path / "run" / "metrics.csv")]
    assert all(float(value) > 0 for value in values)
    assert read_yaml(model / "model.yaml")["task"]["pretrain"]["network"] == "program"


def test_a_wrong_program_ends_before_anything_is_trained(recipe: Make, cohort: Path, tmp_path: Path) -> None:
    pretrain = {"network": "program", "weights": str(exported(tmp_path / "mine.pt2", outputs=3))}
    with pytest.raises(UserError, match=r"mine.pt2 gives \(1, 3\) for 1 image.*expected \(1, 1\)"):
        train(recipe(objective="task_gan", task__pretrain=pretrain), cohort, tmp_path / "run")
    assert not (tmp_path / "run").exists()
