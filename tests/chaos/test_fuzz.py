"""Readers on files that hypothesis builds and damages: each ends in success or in one sentence."""

import csv
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import small_models
from chaos.mutate import mutate
from chaos.readers import READERS, make_foreign, problem_of
from chaos.strategies import csv_files, json_files, nifti_files, png_files, yaml_files
from discs import make_discs, make_restored
from taskgan.core.files import read_yaml

# By count, and the same ones every time: `make chaos-long` is where other ones are tried.
_FEW = settings(
    max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
_RUN = (
    "checkpoint",
    "recogniser",
    "run",
    "evaluation",
    "readings",
    "node settings",
)  # of what takes seconds to make; others are as it


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound files of all readers but those of runs and evaluations."""
    folder = tmp_path_factory.mktemp("corpus")
    make_foreign(folder)
    make_discs(folder / "cohort", train=2, val=2, test=2)
    make_restored(folder / "restored", folder / "cohort")
    (folder / "restored" / "test00.json").write_text('{"Units": "Bq/mL", "GeneratedBy": []}')
    small_models.write(folder / "run" / "model")
    return folder


def _problem(corpus: Path, name: str, raw: bytes, file_name: str = "") -> str:
    """What is wrong with how a reader ends on a file in the place of a sound one."""
    reader = READERS[name]
    file = corpus / reader.folder / file_name if file_name else next((corpus / reader.folder).glob(reader.pattern))
    sound = file.read_bytes()
    file.write_bytes(raw)
    try:
        return problem_of(lambda: reader.read(corpus / reader.folder, file))
    finally:
        file.write_bytes(sound)


@pytest.mark.parametrize("name", sorted(READERS.keys() - set(_RUN)))
def test_damaged_files_end_in_a_sentence(corpus: Path, tmp_path: Path, name: str) -> None:
    """The damage of the long count, decided by hypothesis: a failure is shrunk to its smallest."""
    reader = READERS[name]
    copy = Path(shutil.copytree(corpus / reader.folder, tmp_path / "copy"))
    sound = {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.match(reader.pattern)}
    assert sound

    @settings(_FEW, max_examples=5 if name == "MATLAB" else 30)
    @given(st.sampled_from(sorted(sound)), st.randoms(use_true_random=False))
    def check(file: Path, rng: random.Random) -> None:
        file.write_bytes(mutate(file.suffix, sound[file], rng))
        assert not problem_of(lambda: reader.read(copy, file))
        file.write_bytes(sound[file])

    check()


def _check(corpus: Path, name: str, strategy: st.SearchStrategy[bytes], file_name: str = "") -> None:
    @_FEW
    @given(strategy)
    def check(raw: bytes) -> None:
        assert not _problem(corpus, name, raw, file_name)

    check()


@pytest.mark.parametrize(("name", "strategy"), [("NIfTI", nifti_files), ("PNG", png_files), ("sidecar", json_files)])
def test_built_files_end_in_a_sentence(corpus: Path, name: str, strategy: Callable[[], st.SearchStrategy[Any]]) -> None:
    _check(corpus, name, strategy(), "a.nii" if name == "NIfTI" else "")


@pytest.mark.parametrize(("name", "file"), [("recipe", "pet-demo.yaml"), ("model card", "model.yaml")])
def test_built_settings_end_in_a_sentence(corpus: Path, name: str, file: str) -> None:
    sound = read_yaml(corpus / READERS[name].folder / file)
    _check(corpus, name, yaml_files(sound), file)


def test_built_tables_end_in_a_sentence(corpus: Path) -> None:
    with (corpus / "cohort" / "pairs.csv").open() as handle:
        header, *rows = csv.reader(handle)
    _check(corpus, "pairs.csv", csv_files(header, rows))


@pytest.mark.parametrize("kind", ["nii", "png"])
def test_some_built_images_are_sound(tmp_path: Path, kind: str) -> None:
    """Otherwise the strategies try what a reader refuses at its first byte."""
    from taskgan.core.errors import UserError
    from taskgan.images.photos import read_photo
    from taskgan.images.volumes import read_volume

    path, read_well = tmp_path / f"a.{kind}", []

    @settings(_FEW, max_examples=150)
    @given(nifti_files() if kind == "nii" else png_files())
    def check(raw: bytes) -> None:
        path.write_bytes(raw)
        try:
            (read_volume if kind == "nii" else read_photo)(path)
        except UserError:
            return
        read_well.append(raw)

    check()
    assert len(read_well) >= 5
