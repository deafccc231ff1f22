"""VGG-Face as T and as a judge: from a released file into the store, frozen, with figures of this cohort."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import checksum
from taskgan.images.volumes import write_volume
from taskgan.judges import store as room
from taskgan.judges.recogniser import Recogniser as Reader
from taskgan.judges.store import _validation_subset, recogniser_folder, recogniser_for, released_recogniser
from taskgan.judges.volumes import CleanSlices, CleanVolume
from taskgan.networks.photos import VggFaceRecogniser
from taskgan.recipe import Data, Recipe, RecogniserSettings, Target, parse_recipe

WIDTH, SIZE = 2, 128
TARGET = Target(kind="embedding", labels=("subject",), size=SIZE)
DATA = Data.model_validate({"intensity": {"kind": "none", "output": "unit"}})


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of the released format: a flat state dict."""
    torch.manual_seed(0)
    network = VggFaceRecogniser(width=WIDTH, outputs=SIZE).network
    for parameter in network.parameters():
        if parameter.ndim > 1:  # torch's own start would let every image look alike after 15 layers
            torch.nn.init.kaiming_normal_(parameter)
    path = tmp_path_factory.mktemp("weights") / "vgg_face_dag.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def settings(weights: Path) -> RecogniserSettings:
    return RecogniserSettings(network="vgg_face", width=WIDTH, weights=str(weights), seed=0)


def _photos(people: int, each: int, prefix: str = "p") -> CleanSlices:
    rng = np.random.default_rng(0)
    own = rng.random((people, 1, 8, 8))
    return CleanSlices(
        tuple(
            CleanVolume(
                f"{prefix}{k}",
                float(k),
                np.clip(np.kron(own[k], np.ones((4, 4))) + 0.05 * rng.random((1, 32, 32)), 0, 1).astype(np.float32),
            )
            for k in range(people)
            for _ in range(each)
        )
    )


@pytest.fixture
def faces(tmp_path: Path) -> Pairs:
    """Three people to train on, three to validate, two images each."""
    rows = []
    for split, prefix in (("train", "a"), ("val", "b")):
        for number, photo in enumerate(_photos(3, 2, prefix)):
            name = f"{photo.subject}_{number}"
            for kind, image in (("clean", photo.slices), ("low", 0.5 * photo.slices)):
                write_volume(tmp_path / f"{name}_{kind}.nii.gz", np.moveaxis(image, 0, 2), np.eye(4))
            row = {"case": name, "subject": photo.subject, "split": split, "degraded": f"{name}_low.nii.gz"}
            rows.append({**row, "clean": f"{name}_clean.nii.gz", "label": ""})
    write_pairs(tmp_path / "pairs.csv", rows)
    return read_pairs(tmp_path)


def test_weights_are_kept_as_they_are_and_measured_on_validation_people(
    settings: RecogniserSettings, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = torch.random.get_rng_state()
    reader = released_recogniser(settings, _photos(4, 3), title="task", target=TARGET)
    assert torch.equal(torch.random.get_rng_state(), before)
    state = reader.network.state_dict()
    for name, tensor in torch.load(weights, weights_only=True).items():
        assert torch.equal(state[f"network.{name}"], tensor)
    card = reader.card
    assert card.training_subjects == ()
    assert card.step == 0
    assert card.validation.volumes == 12
    assert card.validation.auc == 1.0  # random features tell random patterns apart
    assert card.target.cut == card.validation.outputs["threshold"]
    assert card.source is not None
    assert (card.source.file, card.source.sha256) == ("vgg_face_dag.pth", checksum(weights))
    assert "with AUC 1.000" in capfd.readouterr().out
    reader.save(tmp_path / "kept")
    loaded = Reader.load(tmp_path / "kept")
    slices = _photos(1, 1).volumes[0].slices
    np.testing.assert_array_equal(loaded.read(slices), reader.read(slices))
    assert loaded.card == card
    np.testing.assert_allclose(np.linalg.norm(reader.read(slices), axis=1), 1, rtol=1e-5)


def test_of_many_people_some_with_several_images_are_looked_at(settings: RecogniserSettings) -> None:
    many = CleanSlices((*_photos(300, 2).volumes, *_photos(5, 1, "single").volumes))
    small = CleanSlices(tuple(CleanVolume(v.subject, v.label, np.ascontiguousarray(v.slices[:, :8, :8])) for v in many))
    asked = _validation_subset(small)
    assert 500 <= len(asked) <= 512
    assert not any(subject.startswith("single") for subject in asked.subjects)
    assert len(asked) == 2 * len(asked.subjects)
    alone = CleanSlices(small.volumes[-5:])
    assert len(_validation_subset(alone)) == 5


def test_the_store_reads_a_file_once_and_knows_it_by_its_bytes(
    faces: Pairs, settings: RecogniserSettings, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recogniser_for(faces, settings, DATA, name="task", target=TARGET)
    assert first.card.validation_subjects == ("b0", "b1", "b2")
    elsewhere = tmp_path / "elsewhere" / "VGG.pth"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(weights.read_bytes())

    def refuse(*_: object, **__: object) -> Reader:
        raise AssertionError("read again")

    monkeypatch.setattr(room, "released_recogniser", refuse)
    moved = settings.model_copy(update={"weights": str(elsewhere), "steps": 7, "seed": 3})
    again = recogniser_for(faces, moved, DATA, name="task", target=TARGET)
    slices = _photos(2, 1).volumes[1].slices
    np.testing.assert_array_equal(again.read(slices), first.read(slices))
    assert isinstance(again.network, VggFaceRecogniser)
    changed = bytearray(weights.read_bytes())
    changed[-500] ^= 1
    elsewhere.write_bytes(bytes(changed))
    assert recogniser_folder(faces, moved, DATA, name="task", target=TARGET) != recogniser_folder(
        faces, settings, DATA, name="task", target=TARGET
    )


def test_missing_weights_say_what_to_do_instead(faces: Pairs, settings: RecogniserSettings) -> None:
    lost = settings.model_copy(update={"weights": "nowhere/vgg-face.mat"})
    for name, where in (("task", "task.pretrain"), ("judge", "judge")):
        with pytest.raises(UserError, match=rf"nowhere/vgg-face\.mat \({where}\.weights\) does not exist") as told:
            recogniser_for(faces, lost, DATA, name=name, target=TARGET)
        assert "network: ir trains a recogniser of faces" in str(told.value)
    assert not (faces.folder / "derivatives").exists()


def test_missing_weights_are_named_before_a_cohort_is_looked_at(
    faces: Pairs, settings: RecogniserSettings, tmp_path: Path
) -> None:
    from taskgan.train.run import train

    for pair in faces:
        pair.degraded.write_bytes(b"no image")
    lost = _recipe(Path("nowhere/vgg-face.mat"))
    with pytest.raises(UserError, match=r"^nowhere/vgg-face\.mat \(task\.pretrain\.weights\) does not exist"):
        train(lost, faces.folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_judge_may_have_descriptors_of_another_length(faces: Pairs, settings: RecogniserSettings) -> None:
    judge = RecogniserSettings(network="ir", width=2, size=6, steps=2, batch_size=4, seed=9)
    reader = recogniser_for(faces, judge, DATA, name="judge", target=TARGET)
    assert reader.read(_photos(1, 1).volumes[0].slices).shape == (1, 6)
    other = recogniser_for(faces, settings, DATA, name="judge", target=TARGET.model_copy(update={"size": 16}))
    assert other.card.outputs == SIZE


def _recipe(weights: Path, **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "data": {"intensity": {"kind": "none", "output": "unit"}},
        "task": {
            "kind": "embedding",
            "labels": "subject",
            "size": SIZE,
            "training": "frozen",
            "pretrain": {"network": "vgg_face", "width": WIDTH, "weights": str(weights)},
        },
        "judge": {"network": "ir", "width": 2, "size": 8, "steps": 2, "seed": 9},
    }
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = values
        for parent in parents:
            place = place[parent]
        place[last] = value
    return parse_recipe(values, "test")


def test_what_does_not_go_together_is_named(weights: Path) -> None:
    assert _recipe(weights).task.pretrain.facts.released
    for changes, words in (
        ({"task__pretrain__weights": None}, r"weights is missing, expected the path.*network: ir trains"),
        (
            {"task__pretrain__network": "ir"},
            r"which is trained here; expected network vgg_face, dlib, program or onnx, or no weights",
        ),
        ({"task__training": "joint", "task__loss": "proper"}, "kept as they were released; expected frozen"),
        ({"task__size": 64}, "task.size is 64, expected 128, the length of the descriptor"),
        ({"task__kind": "binary", "task__labels": "label"}, "expected task.kind embedding, found binary"),
        ({"data__intensity": {}}, r"reads images of 0 to 1, but data\.intensity\.output is nonnegative"),
        ({"task": {}}, r"judge\.size is 8, a length of descriptors, which kind binary has not"),
    ):
        with pytest.raises(Problems, match=words):
            _recipe(weights, **changes)


def test_it_teaches_a_generator_and_reads_what_it_restores(
    faces: Pairs, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskgan.evaluate.cases import read_case_table
    from taskgan.evaluate.run import evaluate
    from taskgan.restore.run import restore
    from taskgan.train.run import train

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tiny: dict[str, Any] = {
        "generator": {"width": 2, "max_width": 4, "depth": 2, "norm": "instance", "dropout_layers": 0},
        "discriminator": {"widths": [2, 4], "norm": "instance"},
        "optimiser": {"steps": 1, "batch_size": 2},
        "validation": {"every": 1, "cases": 1},
        "machine": {"accelerator": "cpu", "precision": "32", "channels_last": False, "compile": False},
    }
    recipe = parse_recipe({**_recipe(weights).model_dump(mode="json"), **tiny}, "test")
    try:
        train(recipe, faces.folder, tmp_path / "run")
        restore(tmp_path / "run" / "model", [faces.source], tmp_path / "restored", split="val")
        out = evaluate(tmp_path / "restored", faces.folder, tmp_path / "evaluation", split="val")
    finally:
        torch.set_flush_denormal(False)
    cases = read_case_table(out)
    assert (cases.loc[cases["method"] == "clean", "task_mae"] < 1e-3).all()
    assert (cases.loc[cases["method"] == "task_gan", "task_mae"] > 1e-3).all()
    kept = sorted(p.name.split("-")[0] for p in (faces.folder / "derivatives" / "recognisers").iterdir())
    assert kept == ["judge", "task"]
