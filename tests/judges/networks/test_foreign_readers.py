"""Networks of others as T and judge of a cohort: from their file into the store, read, refused in words."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dlib_files import random_network, write_dlib
from foreign_files import onnx_bytes, save_exported
from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.images.volumes import write_volume
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.slices import slice_features
from taskgan.judges.store import recogniser_folder, recogniser_for
from taskgan.recipe import Data, RecogniserSettings, Target, parse_recipe
from taskgan.recipe.preparation import Preparation

DATA = Data.model_validate({"intensity": {"kind": "none", "output": "unit"}})
PEOPLE = Target(kind="embedding", labels=("subject",), size=4)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Grey squares: six subjects, two images each; positive ones are bright."""
    folder, rng, rows = tmp_path_factory.mktemp("squares"), np.random.default_rng(0), []
    for k, split in enumerate(("train", "train", "val", "val", "test", "test")):
        own = rng.random((8, 8)) * 0.5 + 0.5 * (k % 2)
        for n in range(2):
            image = np.kron(own, np.ones((4, 4)))[:, :, None].astype(np.float32) + np.float32(0.01 * n)
            write_volume(folder / f"{k}{n}.nii.gz", image, np.eye(4))
            row = {"case": f"s{k}_{n}", "subject": f"s{k}", "split": split, "label": k % 2}
            rows.append({**row, "degraded": f"{k}{n}.nii.gz", "clean": f"{k}{n}.nii.gz"})
    write_pairs(folder / "pairs.csv", rows)
    return read_pairs(folder)


def _slices() -> np.ndarray:
    return np.random.default_rng(1).random((3, 32, 32)).astype(np.float32)


def test_dlib_is_kept_with_its_crop_and_read_again(cohort: Pairs, tmp_path: Path) -> None:
    path = write_dlib(tmp_path / "dlib.dat", random_network())
    settings = RecogniserSettings(network="dlib", width=2, weights=str(path))
    folders = []
    for crop in (None, (0.5, 0.4, 0.6)):
        mine = settings.model_copy(update={"prepare": Preparation(crop=crop)})
        reader = recogniser_for(cohort, mine, DATA, name="task", target=PEOPLE, store=tmp_path)
        folders.append(recogniser_folder(cohort, mine, DATA, name="task", target=PEOPLE, store=tmp_path))
        again = Recogniser.load(folders[-1])
        np.testing.assert_array_equal(again.read(_slices()), reader.read(_slices()))
        assert reader.card.source is not None
        assert reader.card.validation.volumes == 4
        whole = torch.from_numpy(_slices()[:, None])
        expected = nn.functional.normalize(random_network()(again.network.prepare(whole))[0], dim=1)
        np.testing.assert_allclose(again.read(_slices()), expected.detach().numpy(), atol=1e-5)
    assert folders[0] != folders[1]


@pytest.mark.parametrize("kind", ["exported", "onnx"])
def test_any_program_reads_a_property_of_the_cohort(kind: str, cohort: Pairs, tmp_path: Path) -> None:
    """A mean of pixels as a binary reader: its logit is bright or not."""
    weight, bias = np.full((1, 192), 40 / 192, dtype=np.float32), np.array([-20.0], dtype=np.float32)
    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="ONNX models want onnxruntime")
        path = tmp_path / "mean.onnx"
        path.write_bytes(onnx_bytes(weight, bias))
    else:
        linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
        linear[1].load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        path = save_exported(tmp_path / "mean.pt2", linear, (3, 8, 8))
    prepare = Preparation(pixels=8, channels=3)
    settings = RecogniserSettings(network=kind, weights=str(path), prepare=prepare, seed=5)
    reader = recogniser_for(cohort, settings, DATA, name="judge", store=tmp_path)
    assert reader.card.validation.auc == 1.0
    means = _slices().mean(axis=(1, 2))
    np.testing.assert_allclose(reader.read(_slices()), 1 / (1 + np.exp(20 - 40 * means)), atol=1e-4)
    folder = recogniser_folder(cohort, settings, DATA, name="judge", store=tmp_path)
    np.testing.assert_array_equal(Recogniser.load(folder).read(_slices()), reader.read(_slices()))
    assert slice_features(reader.network, _slices()).shape == (3, 1)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="cannot be opened"):
        recogniser_for(cohort, settings, DATA, name="judge", store=tmp_path / "other")


def test_what_does_not_go_together_is_named() -> None:
    people = {"kind": "embedding", "labels": "subject", "size": 128, "training": "frozen"}
    unit = {"intensity": {"kind": "none", "output": "unit"}}
    judge = {"network": "ir", "size": 8, "seed": 9}

    def parse(pretrain: dict[str, object], **further: object) -> None:
        parse_recipe({"data": unit, "judge": judge, "task": {**people, "pretrain": pretrain}, **further}, "test")

    parse({"network": "dlib", "weights": "a.dat"})
    parse({"network": "dlib", "weights": "a.dat", "prepare": {"crop": [0.5, 0.5, 1]}})
    parse({"network": "exported", "weights": "a.pt2"})
    for pretrain, words in (
        ({"network": "onnx", "weights": "a.onnx"}, "gives no gradient and can only judge"),
        ({"network": "dlib"}, "expected the path of dlib_face_recognition_resnet_model_v1.dat; without that file"),
        ({"network": "exported"}, r"expected the path of a program that torch.export saved \(.pt2\)$"),
        ({"network": "dlib", "weights": "a.dat", "prepare": {"pixels": 9}}, "expected no prepare but its crop"),
        ({"network": "ir", "size": 128, "prepare": {"pixels": 9}}, "expected no prepare$"),
        ({"network": "exported", "weights": "a.pt2", "reduce": 2}, "prepares images as its authors do"),
    ):
        with pytest.raises(Problems, match=f"(?m){words}"):
            parse(pretrain)
    onnx = {"network": "onnx", "weights": "a.onnx", "seed": 9}
    parse({"network": "dlib", "weights": "a.dat"}, judge=onnx)
