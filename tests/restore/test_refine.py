"""What is done beyond the model: values kept, mirror images averaged, weights between two models."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from dicom_files import write_pet
from small_models import AFFINE, GENERATOR, card_of, network_of, save, volume, write
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.model import blocks
from taskgan.model.folder import read_between, read_model, write_model
from taskgan.networks.generator import generator_network
from taskgan.recipe import Data, Generator
from taskgan.restore.refine import KeptValues, Refinement, with_region_means
from taskgan.restore.run import restore

SHAPE = (17, 14, 5)
VOLUMES = (
    (Data(), GENERATOR),
    (Data(patch=(16, 16, 4)), Generator(dimensions=3, width=4, max_width=8, depth=2, norm="none", dropout=0)),
)


def atlas(path: Path, shape: tuple[int, ...] = SHAPE) -> Path:
    labels = np.zeros(shape, np.float32)
    labels[3:8], labels[9:14, 2:9], labels[14:, :, 1:3] = 7, 1001, 2
    return save(path, labels)


def made(folder: Path, data: Data, generator: Generator) -> Path:
    """A model of slices, or of volumes with an output away from zero."""
    if generator.dimensions == 2:
        return write(folder, data, generator)
    torch.manual_seed(0)
    network = generator_network(generator, data)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    write_model(folder, network.state_dict(), card_of(data, generator))
    return folder


def means(image: np.ndarray, labels: np.ndarray) -> list[float]:
    return [float(image[labels == k].mean(dtype=np.float64)) for k in np.unique(labels) if k]


@pytest.mark.parametrize(("data", "generator"), VOLUMES)
def test_means_over_regions_are_the_inputs(
    data: Data, generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "WHOLE", 0)
    monkeypatch.setattr(blocks, "BLOCK", (4, 8, 8))
    model = made(tmp_path / "model", data, generator)
    image = volume(SHAPE)
    image[:, :, 4] = 0  # not measured
    source, regions = save(tmp_path / "pet.nii.gz", image), atlas(tmp_path / "atlas.nii.gz")
    restore(model, source, tmp_path / "plain", precision="32")
    restore(model, source, tmp_path / "out", precision="32", refinement=Refinement(str(regions)))
    after, plain = (read_volume(tmp_path / name / "pet.nii.gz").data for name in ("out", "plain"))
    labels = read_volume(regions).data
    np.testing.assert_allclose(means(after, labels), means(image, labels), rtol=2e-6)
    assert not np.allclose(means(plain, labels), means(image, labels), rtol=1e-3)
    assert not after[:, :, 4].any()
    np.testing.assert_array_equal(after[labels == 0], plain[labels == 0])
    settings = read_yaml(tmp_path / "out" / "restored.yaml")["settings"]
    assert settings["keep_values"] == "atlas.nii.gz"
    assert read_sidecar(tmp_path / "out" / "pet.nii.gz")["GeneratedBy"][-1]["Settings"].items() >= settings.items()


def test_a_length_keeps_the_low_pass_and_is_linear(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    for name, refinement in (("plain", Refinement()), ("out", Refinement("4 mm"))):
        restore(model, source, tmp_path / name, precision="32", refinement=refinement)
    after, plain = (read_volume(tmp_path / name / "pet.nii.gz").data for name in ("out", "plain"))
    inside = (slice(6, -6), slice(5, -5))
    # Twice through a Gaussian little of the difference is left, once most of it.
    rest, before = (abs(float((image - volume())[inside].mean())) for image in (after, plain))
    assert rest < 0.3 * before
    one, two = volume(seed=3), volume(seed=4)
    labels = np.random.default_rng(0).integers(0, 4, one.shape)
    both = with_region_means(2 * one + two, 2 * two - one, labels)
    parts = 2 * with_region_means(one, two, labels) + with_region_means(two, -one, labels)
    np.testing.assert_allclose(both, parts, rtol=1e-4, atol=1e-4)


def test_another_atlas_is_another_setting(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, regions = save(tmp_path / "pet.nii.gz", volume()), atlas(tmp_path / "atlas.nii.gz")
    kept = Refinement(str(regions))
    restore(model, source, tmp_path / "out", refinement=kept)
    restore(model, source, tmp_path / "out", refinement=kept)
    assert "already done" in capsys.readouterr().out
    save(regions, np.ones(SHAPE, np.float32))
    with pytest.raises(UserError, match="holds a finished restoration"):
        restore(model, source, tmp_path / "out", refinement=kept)


def test_a_single_file_made_with_more_is_not_taken_for_one_without(model: Path, tmp_path: Path) -> None:
    """Defaults are not named in a sidecar: what is named must be asked for too."""
    source, out = save(tmp_path / "pet.nii.gz", volume()), tmp_path / "out.nii.gz"
    restore(model, source, out, precision="32", refinement=Refinement(average="flips"))
    averaged = out.read_bytes()
    with pytest.raises(UserError, match="overwrite"):
        restore(model, source, out, precision="32")
    assert out.read_bytes() == averaged
    restore(model, source, out, precision="32", refinement=Refinement(average="flips"))  # that one is done


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.full(SHAPE, 0.4, np.float32), "expected whole numbers"),
        (np.ones((17, 14, 4), np.float32), "has shape 17×14×4"),
    ],
)
def test_what_is_no_atlas_is_refused_before_anything_is_written(
    model: Path, tmp_path: Path, values: np.ndarray, sentence: str
) -> None:
    source, regions = save(tmp_path / "pet.nii.gz", volume()), save(tmp_path / "atlas.nii.gz", values)
    with pytest.raises((UserError, Problems), match=sentence):
        restore(model, source, tmp_path / "out", refinement=Refinement(str(regions)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("refinement", "samples", "sentence"),
    [
        (Refinement("nonsense"), 0, "has none in nonsense"),
        (Refinement("-3mm"), 0, "expected a length"),
        (Refinement(average="turns"), 0, "expected flips"),
        (Refinement(average="flips"), 2, "found --average"),
        (Refinement(strength=0.5), 0, "go together"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    model: Path, tmp_path: Path, refinement: Refinement, samples: int, sentence: str
) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    with pytest.raises(UserError, match=sentence):
        restore(model, source, tmp_path / "out", samples=samples, refinement=refinement)


def test_masks_of_a_table_may_not_overlap(tmp_path: Path) -> None:
    from taskgan.cohort.pairs import read_pairs

    masks = [np.zeros(SHAPE, np.float32) for _ in range(3)]
    masks[0][:5], masks[1][5:9], masks[2][8:] = 1, 1, 1
    for name, mask in zip("abc", masks, strict=True):
        save(tmp_path / f"{name}.nii.gz", mask)
    source = read_volume(save(tmp_path / "low.nii.gz", volume(SHAPE)))
    (tmp_path / "pairs.csv").write_text(
        "case,subject,split,degraded,a,b,c\nc0,c0,test,low.nii.gz,a.nii.gz,b.nii.gz,c.nii.gz\n"
    )
    row = read_pairs(tmp_path, ("case", "degraded")).rows[0]
    assert set(np.unique(KeptValues("a,b").labels(row, source))) == {0, 1, 2}
    with pytest.raises(UserError, match="overlaps another region"):
        KeptValues("a,b,c").labels(row, source)


@pytest.mark.parametrize(("data", "generator"), VOLUMES)
@pytest.mark.parametrize("turn", [(0, 1, 2), (1, 0, 2)])
def test_a_mirrored_input_gives_the_mirrored_average(
    data: Data, generator: Generator, turn: tuple[int, int, int], tmp_path: Path
) -> None:
    model = made(tmp_path / "model", data, generator)
    affine = AFFINE[:, [*turn, 3]]
    image = volume(SHAPE).transpose(turn)
    axis = turn.index(0)
    assert nib.aff2axcodes(affine)[axis] in "LR"
    results = []
    for name, values in (("a", image), ("b", np.flip(image, axis).copy())):
        source = save(tmp_path / f"{name}.nii.gz", values, affine)
        restore(
            model, source, tmp_path / "out" / f"{name}.nii.gz", precision="32", refinement=Refinement(average="flips")
        )
        results.append(read_volume(tmp_path / "out" / f"{name}.nii.gz").data)
    np.testing.assert_array_equal(results[0], np.flip(results[1], axis))
    restore(model, tmp_path / "a.nii.gz", tmp_path / "plain.nii.gz", precision="32")
    assert not np.array_equal(read_volume(tmp_path / "plain.nii.gz").data, results[0])


def test_a_series_keeps_its_values(model: Path, tmp_path: Path) -> None:
    stored = np.random.default_rng(0).gamma(2.0, 900, SHAPE).clip(1, 4095).astype(np.uint16)
    source = write_pet(tmp_path / "series", stored, np.diag([-2.0, -2.0, 2.5, 1.0]))
    image = read_volume(source)
    labels = np.zeros(image.data.shape, np.float32)
    labels[2:9, 3:11] = 1
    regions = tmp_path / "atlas.nii.gz"
    nib.save(nib.Nifti1Image(labels, image.affine), regions)
    restore(model, source, tmp_path / "out", precision="32", refinement=Refinement(str(regions), average="flips"))
    (derived,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    after = read_volume(derived).data
    assert after[labels > 0].mean() == pytest.approx(image.data[labels > 0].mean(), rel=1e-3)  # of 16 bits


def test_weights_between_two_models(tmp_path: Path) -> None:
    first = write(tmp_path / "l1")
    state = network_of(seed=1).state_dict()
    write_model(tmp_path / "gan", state, card_of().model_copy(update={"name": "second"}))
    source = save(tmp_path / "pet.nii.gz", volume())
    images = {}
    for strength in (0.0, 0.5, 1.0):
        out = tmp_path / f"out{strength}"
        restore(first, source, out, precision="32", refinement=Refinement(toward=tmp_path / "gan", strength=strength))
        images[strength] = read_volume(out / "pet.nii.gz").data
    for strength, model in ((0.0, first), (1.0, tmp_path / "gan")):
        restore(model, source, tmp_path / f"own{strength}", precision="32")
        np.testing.assert_array_equal(read_volume(tmp_path / f"own{strength}" / "pet.nii.gz").data, images[strength])
    assert not np.array_equal(images[0.5], images[0.0])
    mixed, _ = read_between(first, tmp_path / "gan", 0.25)
    one, two = read_model(first)[0], read_model(tmp_path / "gan")[0]
    np.testing.assert_allclose(mixed["last.weight"], 0.75 * one["last.weight"] + 0.25 * two["last.weight"], rtol=1e-5)
    record = read_yaml(tmp_path / "out0.5" / "restored.yaml")
    checksums = [read_model(path)[1].checksum for path in (first, tmp_path / "gan")]
    assert [record["settings"][key] for key in ("model", "toward", "strength")] == [*checksums, 0.5]
    assert record["checksum"] not in checksums
    assert record["method"] == "gan_strength_0.5"


def test_models_of_two_architectures_have_nothing_between(model: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", Data(neighbours=1))
    for strength, sentence in ((0.5, "another architecture or other inputs"), (1.5, "expected 0")):
        with pytest.raises(UserError, match=sentence):
            read_between(model, other, strength)
