"""A run with a projection: its steps are in the model, which keeps to inputs that it never saw."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskgan.cohort.folder import write_description
from taskgan.cohort.pairs import write_pairs
from taskgan.core.errors import Problems
from taskgan.degrade.degradation import Degradation
from taskgan.images.photos import Photo, read_photo, write_photo
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe
from taskgan.recipe.generator import Blur, Down
from taskgan.restore.run import restore
from taskgan.train.devices import MachineChoice, start_fabric
from taskgan.train.networks import build_networks
from taskgan.train.run import train
from taskgan.train.step import train_step

CHAIN = Degradation((Blur(sigma=4 / 3), Down(factor=4)))


def blobs(shape: tuple[int, int], seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(size=(*shape, 1))
    return np.asarray(0.2 + 0.6 * Degradation((Blur(sigma=1),)).forward(noise), dtype=np.float32)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder, rows = tmp_path / "photos", []
    for number, split in enumerate(["train"] * 4 + ["val"] * 2):
        clean = blobs((32, 24), number)
        for kind, image in (("clean", clean), ("degraded", CHAIN.apply(clean).astype(np.float32))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_photo(folder / kind / f"{number}.png", Photo(image))
        files = {kind: f"{kind}/{number}.png" for kind in ("degraded", "clean")}
        rows.append({"case": number, "subject": number, "split": split, **files, "label": number % 2})
    write_pairs(folder / "pairs.csv", rows)
    write_description(folder, {"kind": "images", "degradation": {"steps": CHAIN.to_dicts()}})
    return folder


def projecting(recipe: Callable[..., Recipe], weight: float = 1.0, **changes: Any) -> Recipe:
    settings: dict[str, Any] = {
        "objective": "l1",
        "data__intensity": {"kind": "none", "output": "unit"},
        "data__augment": {"shift": 0, "flip": True},
        "generator__projection": weight,
        "optimiser__ema": 0.0,  # the network that is looked at is the one that learns
    }
    return recipe(**(settings | changes))


def test_a_trained_model_keeps_to_photos_of_any_size_and_colour(
    photos: Path, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    asked = projecting(recipe)
    model = train(asked, photos, tmp_path / "run")
    card = read_model(model)[1]
    assert card.generator.projection == 1
    assert card.generator.degradation == CHAIN.steps
    assert train(asked, photos, tmp_path / "run") == model  # the recipe that leaves the steps to the cohort is the same
    for number, shape in enumerate(((32, 24), (45, 70))):
        clean = np.concatenate([blobs(shape, 10 + number + k) for k in range(3)], axis=2)
        source, out = tmp_path / f"{number}.png", tmp_path / "out" / f"{number}.png"
        write_photo(source, Photo(CHAIN.apply(clean).astype(np.float32)))
        restore(model, [source], out, precision="32")
        restored, degraded = read_photo(out).luminance, read_photo(source).luminance
        assert np.abs(restored - degraded).max() > 0.02
        assert CHAIN.consistency(restored, degraded) < 0.003


def test_images_of_a_step_agree_with_their_inputs_and_g_learns(recipe: Callable[..., Recipe]) -> None:
    """In training as in restoring: the restored images of a step agree with their inputs, and G learns."""
    from taskgan.cohort.dataset import Batch

    asked = projecting(recipe, generator__degradation=CHAIN.to_dicts())
    fabric = start_fabric(asked.machine, "32")
    players = build_networks(asked, {}, fabric, MachineChoice("32", False, False))
    clean = np.stack([blobs((32, 24), seed)[None, :, :, 0] for seed in range(4)])
    degraded = np.stack([CHAIN.apply(one[0])[None] for one in clean]).astype(np.float32)
    batch = Batch(torch.from_numpy(degraded), torch.from_numpy(clean), torch.zeros(4))
    before = [p.detach().clone() for p in players.generator.parameters()]
    outcome = train_step(players, batch, asked, fabric)
    assert outcome.restored is not None
    for image, known in zip(outcome.restored[:, 0].numpy(), degraded[:, 0], strict=True):
        assert CHAIN.consistency(image, known) < 0.01
    assert any(not torch.equal(a, b) for a, b in zip(before, players.generator.parameters(), strict=True))


def test_what_training_would_move_off_the_grid_is_refused(
    photos: Path, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(Problems, match=r"after they were degraded \(shift\)"):
        train(projecting(recipe, data__augment={"shift": 1}), photos, tmp_path / "run")
    assert not (tmp_path / "run").exists()
