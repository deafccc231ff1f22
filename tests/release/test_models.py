"""Models by name: listed, verified, chosen by voxel size and dose; cards that people read."""

import sys
from pathlib import Path

import pytest
import yaml

from small_models import card_of, network_of, save, volume, write
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import write_json
from taskgan.model import shelf
from taskgan.model.folder import write_model
from taskgan.model.shelf import list_models, listed_models, models_called, nearest, verify_models
from taskgan.recipe import Data
from taskgan.release.export import channel_names, export_to_hub, import_from_hub, model_readme
from taskgan.restore.run import restore

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))
import shipped_models


def variant(folder: Path, edge: float, dose: str) -> None:
    card = card_of()
    seen = card.seen.model_copy(update={"voxel_size": ((2, 2), (2, 2), (edge, edge)), "metadata": {"dose": (dose,)}})
    write_model(folder, network_of().state_dict(), card.model_copy(update={"seen": seen}))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "index"
    for name, edge, dose in (("thick", 5.2, "1"), ("thin", 2.0, "1"), ("thin-25", 2.0, "25")):
        variant(place / "low" / name, edge, dose)
    write(place / "alone")
    monkeypatch.setenv(shelf.INDEX, str(place))
    return place


def test_models_are_chosen_by_voxel_size_and_dose(index: Path) -> None:
    family = models_called("low")
    assert [one.name for one in family] == ["low/thick", "low/thin", "low/thin-25"]
    for voxels, dose, expected in (((2, 2, 6), 1, "thick"), ((2, 2, 2.2), None, "thin"), ((2, 2, 2), 20, "thin-25")):
        best, why = nearest(family, voxels, dose)
        assert best.name == f"low/{expected}"
        assert why.startswith(f"low: takes low/{expected} (saw voxels of 2×2×")
    assert [one.name for one in models_called("low/thin")] == ["low/thin"]
    with pytest.raises(UserError, match="no model 'lw': expected a model folder, or the name of a listed one"):
        models_called("lw")
    assert [shelf.positive(text) for text in ("2", 3, "0", "-1", "nan", "inf", "x", None)] == [2, 3, *[None] * 6]


def test_a_name_restores_and_says_which_model_and_why(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = save(tmp_path / "scan.nii.gz", volume())
    restore("low", scan, tmp_path / "out.nii.gz", precision="32")
    assert "low: takes low/thin (saw voxels of 2×2×2 mm, dose 1 %), nearest of 3" in capsys.readouterr().out
    restore(index / "low" / "thin", scan, tmp_path / "same.nii.gz", precision="32")
    assert (tmp_path / "out.nii.gz").read_bytes() == (tmp_path / "same.nii.gz").read_bytes()
    with pytest.raises(UserError, match="does not exist"):
        restore("./low", scan, tmp_path / "no.nii.gz")


def test_damage_is_named(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify_models()
    (index / "alone" / "generator.safetensors").write_bytes(b"x")
    with pytest.raises(Problems, match=r"generator\.safetensors was changed"):
        verify_models(["alone"])
    verify_models(["low"])
    list_models()
    assert "alone" in capsys.readouterr().out


def test_a_card_names_weights_and_figures(tmp_path: Path) -> None:
    interval = {"estimate": 21.5, "low": 20.0, "high": 23.0}
    quality = {name: interval for name in ("psnr", "ssim", "rmse_relative")}
    write_json(tmp_path / "summary.json", {name: {"quality": quality, "subjects": 7} for name in ("gan", "input")})
    figures = shipped_models.table(shipped_models.read_figures([tmp_path]))
    metrics = [{"type": "psnr", "name": "PSNR (dB)", "value": 21.5}]
    text = model_readme(card_of(), licence="mit", figures=figures, metrics=metrics)
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "mit"
    assert header["sha256"] == {"generator.safetensors": card_of().checksum}
    assert header["model-index"][0]["results"][0]["metrics"] == metrics
    assert "| gan | 21.50 (20.00 to 23.00) |" in text
    assert all(f"## {title}" in text for title in ("Intended use", "Training data", "Figures", "Limits", "Licence"))
    assert channel_names(Data(colour="rgb")) == [f"degraded, {colour}" for colour in ("red", "green", "blue")]


def test_models_that_ship_are_whole_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(shelf.INDEX, raising=False)
    shipped = [one for one in listed_models() if one.shipped]
    assert sum(path.stat().st_size for path in shelf.shipped_folder().rglob("*") if path.is_file()) < 30e6
    verify_models([one.name for one in shipped])
    for one in shipped:
        text = (one.folder / "README.md").read_text()
        assert one.card.checksum in text
        assert "simulated" in text
        assert ("gaussian" if "pet" in one.name else "relaxometry") in text  # who learns nothing stands beside


def test_a_model_goes_to_a_hub_and_comes_back(index: Path, tmp_path: Path) -> None:
    out = export_to_hub(index / "alone", tmp_path / "hub", licence="mit")
    header = yaml.safe_load((out / "README.md").read_text().split("---")[1])
    assert header["license"] == "mit"
    back = import_from_hub(out, index / "low" / "back")
    name = "generator.safetensors"
    assert (back / name).read_bytes() == (index / "alone" / name).read_bytes()
    assert (back / "README.md").read_text() == (out / "README.md").read_text()
    assert "low/back" in [one.name for one in listed_models()]


def test_what_does_not_agree_is_not_taken_in(index: Path, tmp_path: Path) -> None:
    out = export_to_hub(index / "alone", tmp_path / "hub")
    page = (out / "README.md").read_bytes()
    (out / "README.md").unlink()  # killed before it was written
    assert export_to_hub(index / "alone", out) == export_to_hub(index / "alone", out)
    assert (out / "README.md").read_bytes() == page
    with pytest.raises(UserError, match="holds something else"):
        export_to_hub(index / "alone", out, licence="mit")
    readme = out / "README.md"
    readme.write_text(readme.read_text().replace("generator.safetensors: ", "generator.safetensors: 0"))
    with pytest.raises(UserError, match="vouches for other weights"):
        import_from_hub(out, tmp_path / "taken")
    (out / "generator.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="was changed"):
        import_from_hub(out, tmp_path / "taken")
    readme.unlink()
    with pytest.raises(UserError, match=r"holds no README\.md"):
        import_from_hub(out, tmp_path / "taken")
    assert not (tmp_path / "taken").exists()
