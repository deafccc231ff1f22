"""Photos that are too small for a model, and photos that show what it never saw."""

import json
from pathlib import Path

import numpy as np
import pytest

from made_faces import face
from small_models import card_of, network_of, save, volume
from taskgan.core.errors import UserError
from taskgan.degrade.degradation import Degradation, enlarged
from taskgan.images.photos import Photo, read_photo, write_photo
from taskgan.images.statistics import content_of, photo_statistics
from taskgan.model.folder import domain_warnings, write_model
from taskgan.recipe import Data, IntensityTransform
from taskgan.recipe.generator import Blur, Down
from taskgan.restore.run import restore

DATA = Data(intensity=IntensityTransform(kind="none", output="unit"))
CHAIN = Degradation((Blur(sigma=4 / 3), Down(factor=4)))


def degraded(image: np.ndarray) -> np.ndarray:
    return CHAIN.apply(np.asarray(image, np.float32)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained generator whose card knows 60 faces."""
    faces = [degraded(face(person, 0).T[:, :, None]) for person in range(60)]
    known = [photo_statistics(one) for one in faces]
    card = card_of(DATA)
    seen = {
        name: (min(values), max(values))
        for name in ("positive", "noise", "contrast", "sharpness")
        if (values := [getattr(one, name) for one in known])
    }
    seen |= {"content": content_of(known), "degradation": CHAIN.steps, "plane": ((64, 64), (64, 64))}
    seen |= {"voxel_size": ((1, 1),) * 3, "scale": (1, 1)}
    folder = tmp_path_factory.mktemp("model")
    card = card.model_copy(update={"seen": card.seen.model_copy(update=seen)})
    write_model(folder, network_of(DATA).state_dict(), card)
    return folder


def put(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_photo(path, Photo(np.clip(image, 0, 1).astype(np.float32)))
    return path


def landscape(size: int = 64) -> np.ndarray:
    """Sky above, hills and their texture below."""
    x, y = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size), indexing="ij")
    hills = 0.5 + 0.12 * np.sin(7 * x) + 0.08 * np.sin(17 * x + 1)
    return np.where(y > hills, 0.2 + 0.15 * np.sin(40 * x * y), 0.9 - 0.2 * y)[:, :, None]


STRANGE = {
    "a flat grey picture": (np.full((64, 64, 1), 0.5), "other shapes"),
    "a landscape": (degraded(landscape()), "other shapes"),
    "a sharp face": (face(70, 0).T[:, :, None], "a sharpness of"),
    "a thumbnail": (degraded(face(70, 0).T[:, :, None])[::4, ::4], "--enlarge auto enlarges"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_a_model_of_faces_never_saw_is_warned_about(
    model: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image, said = STRANGE[name]
    restore(model, put(tmp_path / "in.png", image), tmp_path / "out.png")
    assert said in capsys.readouterr().out
    assert any(said in text for text in json.loads((tmp_path / "out.json").read_text())["Warnings"])


def test_most_faces_are_of_the_models_kind(model: Path) -> None:
    from taskgan.model.folder import read_model

    card = read_model(model)[1]
    strange = 0
    for person in range(100, 140):
        known = photo_statistics(degraded(face(person, 0).T[:, :, None]))
        strange += bool(domain_warnings((1, 1, 1), 1.0, card, known))
    assert strange <= 3


def test_a_restoration_that_its_input_contradicts_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The untrained generator paints what is not there."""
    restore(model, put(tmp_path / "in.png", degraded(face(90, 0).T[:, :, None])), tmp_path / "out.png")
    assert "does not agree with its restoration" in capsys.readouterr().out
    assert any("contradicts" in text for text in json.loads((tmp_path / "out.json").read_text())["Warnings"])


@pytest.mark.parametrize("factor", ["auto", 4, "4.0"])
def test_enlarging_is_what_degradations_end_with(model: Path, tmp_path: Path, factor: float | str) -> None:
    """Of the low-resolution photo the same is made as of the one that was brought up already."""
    small = np.repeat(face(5, 0, 16).T[:, :, None], 3, axis=2) * (1, 0.8, 0.6)
    put(tmp_path / "small.png", small)
    put(tmp_path / "large.png", enlarged(read_photo(tmp_path / "small.png").pixels, 4))
    restore(model, tmp_path / "small.png", tmp_path / "a.png", enlarge=factor, precision="32")
    restore(model, tmp_path / "large.png", tmp_path / "b.png", precision="32")
    a, b = (read_photo(tmp_path / name).pixels for name in ("a.png", "b.png"))
    assert a.shape == (64, 64, 3)
    np.testing.assert_allclose(a, b, atol=3 / 255)
    settings = json.loads((tmp_path / "a.json").read_text())["GeneratedBy"][-1]["Settings"]
    assert settings["enlarge"] == 4


def test_it_goes_on_only_with_the_same_factor(model: Path, tmp_path: Path) -> None:
    put(tmp_path / "in" / "small.png", face(5, 0, 16).T[:, :, None])
    restore(model, tmp_path / "in", tmp_path / "out", enlarge=4)
    restore(model, tmp_path / "in", tmp_path / "out", enlarge="auto")
    with pytest.raises(UserError, match="holds a finished restoration"):
        restore(model, tmp_path / "in", tmp_path / "out", enlarge=2)


@pytest.mark.parametrize("factor", ["two", 0.5, 65, "nan"])
def test_odd_factors_are_refused(model: Path, tmp_path: Path, factor: float | str) -> None:
    put(tmp_path / "in.png", face(5, 0, 16).T[:, :, None])
    with pytest.raises(UserError, match="expected 1 to 64 or auto"):
        restore(model, tmp_path / "in.png", tmp_path / "out.png", enlarge=factor)


def test_volumes_stay_on_their_grid(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no photo"):
        restore(model, save(tmp_path / "a.nii.gz", volume()), tmp_path / "b.nii.gz", enlarge=2)


@pytest.mark.parametrize("content", [{"basis": "AAAA"}, {"basis": "no", "unlike": 0.1}, {"basis": "", "unlike": 0.1}])
def test_a_damaged_card_is_named(model: Path, tmp_path: Path, content: dict[str, object]) -> None:
    import shutil

    import yaml

    shutil.copytree(model, tmp_path / "model")
    card = yaml.safe_load((tmp_path / "model" / "model.yaml").read_text())
    card["seen"]["content"] = content
    (tmp_path / "model" / "model.yaml").write_text(yaml.safe_dump(card))
    put(tmp_path / "in.png", face(5, 0, 16).T[:, :, None])
    with pytest.raises(UserError, match="not a valid model card"):
        restore(tmp_path / "model", tmp_path / "in.png", tmp_path / "out.png")
