"""Networks of red, green and blue: three channels in and out, from the cohort to the restored photo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from taskgan.cohort.pairs import write_pairs
from taskgan.cohort.slices import load_case, to_volume
from taskgan.core.errors import UserError
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.images.photos import Photo, read_photo, write_photo
from taskgan.model.blocks import Tiles, restore_in_tiles
from taskgan.model.folder import read_model
from taskgan.model.restorer import Restorer
from taskgan.recipe import Data, Recipe
from taskgan.restore.run import restore
from taskgan.train.run import train
from taskgan.train.step import as_read


def write_photos(folder: Path) -> Path:
    """Smooth colours, and the same with noise in the colours alone: luminance is clean already."""
    rows, rng = [], np.random.default_rng(0)
    for number, split in enumerate(["train"] * 6 + ["val"] * 2 + ["test"] * 2):
        clean = ndimage.gaussian_filter(rng.uniform(size=(24, 32, 3)), (3, 3, 0), mode="wrap") * 2 - 0.5
        clean = np.clip(clean + 0.1 * (number % 2), 0.1, 0.9).astype(np.float32)
        noise = rng.normal(scale=0.15, size=clean.shape).astype(np.float32)
        noise -= Photo(noise).luminance[:, :, None]
        files = {}
        for kind, image in (("degraded", np.clip(clean + noise, 0, 1)), ("clean", clean)):
            files[kind] = f"{kind}/{number}.png"
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_photo(folder / files[kind], Photo(image))
        rows.append({"case": number, "subject": number, "split": split, **files, "label": number % 2})
    write_pairs(folder / "pairs.csv", rows)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def colour(recipe: Callable[..., Recipe], **changes: Any) -> Recipe:
    settings: dict[str, Any] = {
        "data__intensity": {"kind": "none", "output": "unit"},
        "data__colour": "rgb",
        "data__augment": {"shift": 0, "flip": True},
        "discriminator__conditional": True,
        "judge__steps": 10,
        "generator": {"width": 8, "max_width": 8, "depth": 2, "norm": "none", "dropout_layers": 0, "residual": True},
        "optimiser": {"steps": 80, "batch_size": 4, "lr": 1e-2, "ema": 0.0},
    }
    return recipe(**(settings | changes))


def colour_error(one: Path, other: Path) -> float:
    apart = read_photo(one).pixels - read_photo(other).pixels
    return float(np.sqrt(np.mean((apart - apart.mean(axis=2, keepdims=True)) ** 2)))


def test_colours_are_restored_and_read_and_measured(
    photos: Path, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    """The whole way, with D (which sees both images), T and the judge, which read luminance."""
    model = train(colour(recipe, loss={"lambda_gan": 0.001, "mu_task": 0.001}), photos, tmp_path / "run")
    assert read_model(model)[1].data.colour == "rgb"
    restore(model, photos / "pairs.csv", tmp_path / "out", split="test", precision="32")
    for number in (8, 9):
        degraded, clean = (photos / kind / f"{number}.png" for kind in ("degraded", "clean"))
        assert colour_error(tmp_path / "out" / f"{number}.png", clean) < 0.8 * colour_error(degraded, clean)
    evaluate(tmp_path / "out", photos, tmp_path / "evaluation")
    rows = read_case_table(tmp_path / "evaluation").set_index(["method", "case"])["psnr_colour"]
    assert (rows["task_gan"] > rows["input"] + 1).all()
    assert rows["clean"].isna().all()


def test_t_reads_luminance_and_its_gradient_reaches_all_colours() -> None:
    image = torch.rand(2, 3, 4, 5, requires_grad=True)
    read = as_read(image)
    np.testing.assert_allclose(read[0, 0].detach(), Photo(image[0].detach().permute(1, 2, 0).numpy()).luminance, 1e-5)
    read.sum().backward()
    assert (image.grad > 0).all()
    assert as_read(image[:, :1]).shape == (2, 1, 4, 5)


def test_a_grey_photo_stays_grey_and_a_volume_is_refused(
    photos: Path, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    model = train(colour(recipe, objective="l1", optimiser={"steps": 2, "batch_size": 2}), photos, tmp_path / "run")
    write_photo(tmp_path / "grey.png", Photo(read_photo(photos / "clean" / "0.png").luminance[:, :, None]))
    restore(model, tmp_path / "grey.png", tmp_path / "out.png")
    assert read_photo(tmp_path / "out.png").pixels.shape == (24, 32, 1)
    with pytest.raises(UserError, match="no photo"):
        import nibabel as nib

        nib.save(nib.Nifti1Image(np.ones((8, 8, 3), np.float32), np.eye(4)), tmp_path / "a.nii.gz")
        restore(model, tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    restorer = Restorer.from_folder(model, precision="32")
    array = read_photo(photos / "degraded" / "8.png").pixels
    whole = restorer.restore(array)
    assert whole.shape == array.shape
    with pytest.raises(UserError, match="4 planes"):
        restorer.restore(np.ones((8, 8, 4), np.float32))
    case = load_case(_pair(photos), restorer.data, clean=False)
    np.testing.assert_allclose(to_volume(case.inputs[:, 0]), array, atol=1e-6)
    one = Tiles.cover((24, 32), edge=64, overlap=4)
    np.testing.assert_allclose(restore_in_tiles(restorer, case, one).image, whole, atol=1e-5)
    several = Tiles.cover((24, 32), edge=16, overlap=8)
    assert restore_in_tiles(restorer, case, several, samples=0).image.shape == array.shape


def _pair(photos: Path) -> Any:
    from taskgan.cohort.pairs import read_pairs

    return next(pair for pair in read_pairs(photos / "pairs.csv") if pair.case == "8")


@pytest.mark.parametrize("other", [{"neighbours": 1}, {"inputs": ["degraded", "mr"]}, {"context": [2.0]}])
def test_what_is_of_volumes_does_not_go_with_colours(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="colour is rgb"):
        Data(colour="rgb", **other)


def test_cycle_gan_restores_luminance(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UserError, match="cycle_gan restores luminance"):
        colour(recipe, objective="cycle_gan", discriminator__conditional=False)
