from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from taskgan.core.errors import Failed, UserError
from taskgan.judges.recogniser import Recogniser, RecogniserCard, RecogniserMetrics, build, logits, volume_logits
from taskgan.recipe import RecogniserSettings as Settings


@pytest.fixture
def reader(settings: Settings) -> Recogniser:
    torch.manual_seed(0)
    card = RecogniserCard(
        title="task",
        settings=settings,
        training_subjects=("a", "b"),
        validation_subjects=("c",),
        cohort="0123",
        step=7,
        validation=RecogniserMetrics(
            volumes=1, slice_mae=0.1, volume_error=0.0, balanced_accuracy=None, auc=None, loss=0.2
        ),
        versions={"torch": "0"},
    )
    return Recogniser(build(settings), card)


def _slices(count: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    return np.random.default_rng(0).random((count, 24, 20), dtype=np.float32)


def test_probabilities_one_a_slice_whatever_the_company(reader: Recogniser) -> None:
    slices = _slices(70)  # more than one batch
    together = reader.read(slices)
    assert together.shape == (70,)
    assert together.dtype == np.float32
    assert ((together > 0) & (together < 1)).all()
    alone = np.concatenate([reader.read(s[None]) for s in slices[60:]])
    np.testing.assert_allclose(together[60:], alone, atol=1e-6)


def test_views_and_other_float_types_are_read_too(reader: Recogniser) -> None:
    slices = _slices(4)
    turned = np.asfortranarray(slices.astype(np.float64))
    np.testing.assert_array_equal(reader.read(slices), reader.read(turned))  # type: ignore[arg-type]


def test_what_is_not_slices_is_refused(reader: Recogniser) -> None:
    for bad in (_slices(1)[0], _slices(0)):
        with pytest.raises(ValueError, match="expected slices"):
            reader.read(bad)  # type: ignore[arg-type]


def test_saved_and_loaded_reads_the_same(reader: Recogniser, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "task-1"
    reader.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["recogniser.safetensors", "recogniser.yaml"]
    assert [p.name for p in folder.parent.iterdir()] == ["task-1"]
    loaded = Recogniser.load(folder)
    assert loaded.card == reader.card
    np.testing.assert_array_equal(loaded.read(_slices(3)), reader.read(_slices(3)))
    assert loaded.description()["validation"]["slice_mae"] == 0.1


def test_an_existing_folder_is_never_overwritten(reader: Recogniser, tmp_path: Path) -> None:
    reader.save(tmp_path / "task")
    before = (tmp_path / "task" / "recogniser.safetensors").read_bytes()
    with pytest.raises(UserError, match="exists already"):
        reader.save(tmp_path / "task")
    assert (tmp_path / "task" / "recogniser.safetensors").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["task"]


def test_nothing_is_left_of_a_save_that_failed(
    reader: Recogniser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("taskgan.judges.recogniser.save_file", fail)
    with pytest.raises(OSError, match=r"No space left on device: .*task'"):
        reader.save(tmp_path / "task")
    assert not list(tmp_path.iterdir())


def _break_card(folder: Path) -> None:
    (folder / "recogniser.yaml").write_text("title: task\nmood: good\n")


def _cut_weights(folder: Path) -> None:
    weights = folder / "recogniser.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])


def _other_width(folder: Path) -> None:
    card = folder / "recogniser.yaml"
    card.write_text(card.read_text().replace("width: 4", "width: 8"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "recogniser.yaml").unlink(), "does not exist"),
        (lambda f: (f / "recogniser.safetensors").unlink(), "does not exist"),
        (_break_card, "not the card of a recogniser"),
        (_cut_weights, "does not hold the weights"),
        (_other_width, "does not hold the weights"),
    ],
)
def test_damage_is_named(damage: Callable[[Path], None], message: str, reader: Recogniser, tmp_path: Path) -> None:
    reader.save(tmp_path / "task")
    damage(tmp_path / "task")
    with pytest.raises(UserError, match=message):
        Recogniser.load(tmp_path / "task")


def test_photos_of_one_size_are_read_together_and_volumes_by_themselves(reader: Recogniser) -> None:
    photos = [_slices(1)[:, :, :width] for width in [20] * 70 + [12] * 3]
    volumes = [*photos, _slices(5), *photos[:2]]
    asked: list[int] = []
    reader.network.register_forward_pre_hook(lambda _, args: asked.append(len(args[0])))
    found = volume_logits(reader.network, volumes)
    assert asked == [64, 8, 3, 5]
    assert [tuple(f.shape) for f in found] == [(len(v), 1) for v in volumes]
    for volume, output in zip(volumes, found, strict=True):
        torch.testing.assert_close(output, logits(reader.network, np.ascontiguousarray(volume)), atol=1e-6, rtol=0)


def test_weights_are_held_against_the_card(reader: Recogniser, tmp_path: Path) -> None:
    reader.save(tmp_path / "task")
    weights = tmp_path / "task" / "recogniser.safetensors"
    state = load_file(weights)
    name = next(name for name, value in state.items() if value.is_floating_point())
    for value, error, words in (
        (state[name].double(), UserError, "has the type torch.float64, expected torch.float32"),
        (state[name][None].contiguous(), UserError, "has the shape"),
        (torch.full_like(state[name], float("nan")), Failed, "has NaN or infinite values in"),
    ):
        save_file(state | {name: value}, weights)
        with pytest.raises(error, match=words):
            Recogniser.load(tmp_path / "task")


def test_weights_are_checked_without_drawing(reader: Recogniser, tmp_path: Path) -> None:
    """Random numbers that a caller draws after loading are those that they were."""
    reader.save(tmp_path / "task")
    torch.manual_seed(3)
    build(reader.card.settings)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    Recogniser.load(tmp_path / "task")
    assert torch.equal(torch.rand(1), wanted)
