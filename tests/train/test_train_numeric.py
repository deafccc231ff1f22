"""A run whose generator is told the dose, of slices and of volumes."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskgan.core.files import read_yaml
from taskgan.images.volumes import read_volume
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe
from taskgan.restore.run import restore
from taskgan.train.run import train

SLICES: dict[str, Any] = {}
FILM: dict[str, Any] = {"generator__conditioning": "film"}
VOLUMES: dict[str, Any] = {
    "generator": {"dimensions": 3, "width": 3, "max_width": 4, "residual": 4},
    "data__context": [4],
    "data__patch": [12, 10, 3],
}


@pytest.mark.parametrize("settings", [SLICES, FILM, VOLUMES], ids=["slices", "film", "volumes"])
def test_a_generator_learns_what_it_is_told(
    settings: dict[str, Any], recipe: Callable[..., Recipe], make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_cohort(tmp_path / "cohort")
    with (folder / "pairs.csv").open() as handle:
        rows = [{**row, "dose": (1, 5, 25)[k % 3]} for k, row in enumerate(csv.DictReader(handle))]
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    wanted = recipe(objective="l1", data__numeric=["dose"], optimiser__steps=3, **settings)
    model = train(wanted, folder, tmp_path / "run")
    card = read_model(model)[1]
    scale = card.data.numeric_scales["dose"]
    assert (scale.log, scale.low, scale.high) == (True, 1, 25)
    assert read_yaml(model / "model.yaml")["data"]["numeric_scales"]["dose"]["high"] == 25
    source = folder / rows[0]["degraded"]
    images = [
        read_volume(restore(model, [source], tmp_path / f"{dose}.nii.gz", numbers={"dose": dose}, precision="32")).data
        for dose in ("1", "25")
    ]
    assert not np.array_equal(*images)
