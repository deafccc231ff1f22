"""Faces on the whole path: cohort, T, training, restoring, judging, verifying."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from drawn_faces import faces
from taskgan.cohort.pairs import read_pairs
from taskgan.core.files import read_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.evaluate.verification_table import read_verification
from taskgan.info.describe import describe
from taskgan.restore.run import restore
from taskgan.train.run import train

READERS = ("task", "judge", "lbp", "eigenfaces")


@pytest.fixture(scope="module")
def restored(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("faces")
    train(faces(), drawn, place / "run")
    restore(place / "run" / "model", [drawn / "pairs.csv"], place / "restored", split="test")
    return place / "restored"


@pytest.fixture(scope="module")
def evaluated(drawn: Path, restored: Path) -> Path:
    return evaluate(restored, drawn, restored.parent / "evaluation")


def test_networks_and_readers_that_are_not_learned_compare_all_pairs(evaluated: Path) -> None:
    table = read_verification(evaluated)
    assert table is not None
    assert table.readers == READERS
    for reader in READERS:
        for image in ("clean", "input", "restored", "input_probe", "restored_probe"):
            found = table.distance(reader, image)
            assert found.shape == (30,)
            assert np.isfinite(found).all()
            assert (found > 0).all()
            assert (found <= 2).all()
    summary = json.loads((evaluated / "summary.json").read_text())
    assert {method: tuple(found["verification"]) for method, found in summary.items()} == dict.fromkeys(
        ("input", "clean", "task_gan"), READERS
    )
    record = read_yaml(evaluated / "evaluation.yaml")["verification"]
    assert record["readers"]["task"]["network"] == "ir"
    assert record["readers"]["judge"]["checksum"] != record["readers"]["task"]["checksum"]
    assert list(read_case_table(evaluated)["method"].unique()) == ["input", "clean", "task_gan"]


def test_the_second_evaluation_reads_restored_images_alone_and_writes_the_same_bytes(
    drawn: Path, restored: Path, evaluated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = evaluate(restored, drawn, evaluated.parent / "again")
    described = {line.split()[1] for line in capsys.readouterr().err.splitlines() if line.startswith("describe")}
    assert described == {"task_gan"}
    for name in ("cases.csv", "verification.csv", "summary.json", "readings.csv", "features.npz"):
        assert (again / name).read_bytes() == (evaluated / name).read_bytes(), name
    for path in (drawn / "derivatives").rglob("*.npz"):
        if path.name.startswith("descriptors") or path.parent.name == "verification":
            path.write_bytes(path.read_bytes()[:-40])
    mended = evaluate(restored, drawn, evaluated.parent / "mended")
    assert (mended / "verification.csv").read_bytes() == (evaluated / "verification.csv").read_bytes()


def test_a_store_of_ones_own_keeps_all_that_is_made(
    drawn: Path, restored: Path, evaluated: Path, tmp_path: Path
) -> None:
    taught = drawn / "derivatives" / "recognisers"
    shutil.copytree(taught, tmp_path / "store", ignore=shutil.ignore_patterns("descriptors-*"))
    before = {path for path in drawn.rglob("*") if path.is_file()}
    evaluate(restored, drawn, tmp_path / "evaluation", store=tmp_path / "store")
    assert {path for path in drawn.rglob("*") if path.is_file()} == before
    kept = [path.name for path in (tmp_path / "store").rglob("*.npz")]
    assert sum(name.startswith("descriptors-") for name in kept) == 4  # T and judge, clean and input


def test_an_evaluation_of_before_is_still_read(evaluated: Path, tmp_path: Path) -> None:
    for name in ("cases.csv", "evaluation.yaml", "summary.json"):
        (tmp_path / name).write_bytes((evaluated / name).read_bytes())
    summary = json.loads((tmp_path / "summary.json").read_text())
    for found in summary.values():
        del found["verification"]
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert read_verification(tmp_path) is None
    assert "AUC of" not in describe(tmp_path)


def test_info_shows_who_tells_people_apart(evaluated: Path, drawn: Path) -> None:
    lines = describe(evaluated).splitlines()
    [head] = [k for k, line in enumerate(lines) if "AUC of 30 pairs of 6 people" in line]
    assert [line.split()[0] for line in lines[head + 1 : head + 5]] == ["T", "judge", "lbp", "eigenfaces"]
    assert all(line.count("[") == 3 for line in lines[head + 1 : head + 5])
    about = describe(drawn)
    assert "20 train pairs, 30 test pairs" in about
    assert len(read_pairs(drawn)) == 42
