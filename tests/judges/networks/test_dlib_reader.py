"""dlib's face network as a reader of a cohort: from its file into the store, read, refused in words."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dlib_files import random_network, write_dlib
from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.core.errors import Problems
from taskgan.images.volumes import write_volume
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.store import recogniser_folder, recogniser_for
from taskgan.recipe import Data, RecogniserSettings, Target, parse_recipe

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
        mine = settings.model_copy(update={"crop": crop})
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


def test_what_does_not_go_together_is_named() -> None:
    people = {"kind": "embedding", "labels": "subject", "size": 128, "training": "frozen"}
    unit = {"intensity": {"kind": "none", "output": "unit"}}
    judge = {"network": "ir", "size": 8, "seed": 9}

    def parse(pretrain: dict[str, object], **further: object) -> None:
        parse_recipe({"data": unit, "judge": judge, "task": {**people, "pretrain": pretrain}, **further}, "test")

    parse({"network": "dlib", "weights": "a.dat"})
    parse({"network": "dlib", "weights": "a.dat", "crop": [0.5, 0.5, 1]})
    for pretrain, words in (
        ({"network": "dlib"}, "expected the path of dlib_face_recognition_resnet_model_v1.dat; without that file"),
        ({"network": "ir", "size": 128, "crop": [0.5, 0.5, 1]}, "prepares images its own way; expected no crop$"),
        ({"network": "dlib", "weights": "a.dat", "crop": [0.5, 0.5, 0]}, "greater than 0"),
        ({"network": "dlib", "weights": "a.dat", "reduce": 2}, "prepares images as its authors do"),
    ):
        with pytest.raises(Problems, match=f"(?m){words}"):
            parse(pretrain)
