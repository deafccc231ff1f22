import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fake_cohort import StubReader, make_restorations, shrink
from taskgan.cohort.slices import to_slices
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.evaluate.features import FILE, FeatureCollector, read_features
from taskgan.evaluate.run import evaluate
from taskgan.images.intensity import fit_intensity
from taskgan.images.volumes import read_volume
from taskgan.judges.properties import EvaluationSettings
from taskgan.judges.readers import StoredReader
from taskgan.networks.recogniser import recogniser_network
from taskgan.recipe import Data


class Deaf:
    """A judge of somebody else's that tells no features."""

    def read(self, slices: np.ndarray) -> np.ndarray:
        return np.full(len(slices), 0.3, np.float32)


@pytest.fixture(scope="module")
def restored(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_restorations(tmp_path_factory.mktemp("geometry") / "restored", cohort, "gan", shrink(0.5, 0.05))


@pytest.fixture(scope="module")
def evaluated(cohort: Path, restored: Path) -> Path:
    return evaluate(restored, cohort, restored.parent / "evaluation", readers={"judge": StubReader()})


def test_features_of_all_three_images_in_the_judges_slices(evaluated: Path, cohort: Path) -> None:
    found = read_features(evaluated)
    assert found is not None
    assert found.cases == tuple(f"sub-{k:02d}" for k in range(1, 9))
    assert {name: values.shape for name, values in found.images.items()} == dict.fromkeys(
        ("input", "clean", "restored"), (8, 9)
    )
    degraded, clean = (read_volume(cohort / "sub-03" / f"{name}.nii.gz").data for name in ("dose1", "clean"))
    scaled = fit_intensity(Data().intensity, degraded, "x").apply(clean)
    assert found.images["clean"][2] == pytest.approx(StubReader().features(to_slices(scaled)).mean(axis=0))
    record = read_yaml(evaluated / "evaluation.yaml")["features"]
    assert (record["file"], record["reader"], record["count"]) == (FILE, "judge", 9)


def test_only_the_middle_slices_are_looked_at(cohort: Path, restored: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    class Watching(StubReader):
        def features(self, slices: np.ndarray) -> np.ndarray:
            seen.append(len(slices))
            return super().features(slices)

    evaluate(restored, cohort, tmp_path, readers={"judge": Watching()}, settings=EvaluationSettings(slices=4))
    assert set(seen) == {4}


@pytest.mark.parametrize("readers", [{}, {"task": StubReader()}, {"judge": Deaf()}], ids=["none", "T", "deaf"])
def test_without_a_judge_that_tells_there_are_none(
    cohort: Path, restored: Path, evaluated: Path, tmp_path: Path, readers: dict[str, StubReader]
) -> None:
    out = tmp_path / "evaluation"
    shutil.copytree(evaluated, out)  # features of another judge must not stay
    evaluate(restored, cohort, out, readers=readers, overwrite=True)
    assert not (out / FILE).exists()
    assert read_features(out) is None
    assert "features" not in read_yaml(out / "evaluation.yaml")


def test_the_same_evaluation_writes_the_same_bytes(
    cohort: Path, restored: Path, evaluated: Path, tmp_path: Path
) -> None:
    again = evaluate(restored, cohort, tmp_path, readers={"judge": StubReader()})
    assert (again / FILE).read_bytes() == (evaluated / FILE).read_bytes()


def test_a_stored_recogniser_tells_its_features() -> None:
    torch.manual_seed(0)
    network = recogniser_network("convnet", width=2)
    reader = StoredReader(SimpleNamespace(network=network), Path("nowhere"))  # type: ignore[arg-type]
    positions = FeatureCollector.from_readers({"judge": reader}, 2)
    assert positions is not None
    assert reader.features(np.ones((3, 32, 32), np.float32)).shape == (3, 16)


@pytest.mark.parametrize("damage", ["text", "cut", "shape", "names"])
def test_damaged_features_are_named(evaluated: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / FILE
    held = dict(np.load(evaluated / FILE))
    if damage == "shape":
        np.savez(path, **{**held, "clean": held["clean"][:3]})
    elif damage == "names":
        np.savez(path, **{**held, "cases": np.array(["x"] * 8)})
    else:
        whole = (evaluated / FILE).read_bytes()
        path.write_bytes(b"no features" if damage == "text" else whole[: len(whole) // 2])
    with pytest.raises(UserError, match=FILE):
        read_features(tmp_path)


def test_damaged_features_are_a_sentence(tmp_path: Path) -> None:
    good: dict[str, Any] = {"cases": np.array(["a"]), "clean": np.ones((1, 2)), "restored": np.ones((1, 2))}
    path = tmp_path / FILE
    for change in (
        {"clean": np.full((1, 2), np.nan)},
        {"clean": np.ones(2)},
        {"clean": np.array(["x", "y"])},
        {"cases": np.float64(3.0)},
    ):
        np.savez(path, **(good | change))
        with pytest.raises(UserError, match=r"features\.npz"):
            read_features(tmp_path)
    np.savez_compressed(path, **(good | {"clean": np.zeros((1, 10**6))}))
    with pytest.raises(UserError, match="is compressed"):
        read_features(tmp_path)
    np.savez(path, **good)
    raw = path.read_bytes()
    for at in range(0, len(raw), 7):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 255]) + raw[at + 1 :])
        with suppress(UserError):
            read_features(tmp_path)
