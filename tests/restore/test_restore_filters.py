"""Filters as methods: tuned on validation subjects, recorded, evaluated like a model."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fake_cohort import make_cohort
from taskgan.cli.app import app
from taskgan.cohort.pairs import read_pairs, subject_digests
from taskgan.core.artefact import verify
from taskgan.core.errors import Failed, UserError
from taskgan.core.files import read_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.metrics.quality import psnr
from taskgan.restore.filters import GRIDS, filtered

EDGES = (2.0, 2.0, 3.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_cohort(tmp_path_factory.mktemp("cohort"), test=4)
    table = folder / "pairs.csv"
    table.write_text(table.read_text().replace(",train,", ",val,"))
    return folder


def run(*arguments: object) -> None:
    app(["restore", *map(str, arguments)], standalone_mode=False)


def test_gaussian_is_the_best_one_of_the_validation_subjects(cohort: Path, tmp_path: Path) -> None:
    run("gaussian", cohort, "-o", tmp_path / "out", "--split", "test", "--recipe", "pet-demo")
    record, pairs = read_yaml(tmp_path / "out" / "restored.yaml"), read_pairs(cohort)
    scores = []
    for tried in GRIDS["gaussian"]:
        sds = [tried["sd_mm"] / edge for edge in EDGES]
        images = [(read_volume(p.degraded).data, read_volume(p.clean).data) for p in pairs.split("val") if p.clean]
        scores.append(
            np.mean([psnr(ndimage.gaussian_filter(d, sds, mode="nearest", truncate=3), c) for d, c in images])
        )
    best = GRIDS["gaussian"][int(np.argmax(scores))]
    assert 0 < int(np.argmax(scores)) < len(scores) - 1
    assert record["settings"] == best
    np.testing.assert_allclose([entry["psnr"] for entry in record["validation"]], scores, atol=1e-3)
    assert record["seen"]["people"] == list(subject_digests(pairs.split("val")))
    for pair in pairs.split("test"):
        written = read_volume(tmp_path / "out" / f"{pair.case}.nii.gz").data
        sds = [best["sd_mm"] / edge for edge in EDGES]
        expected = ndimage.gaussian_filter(read_volume(pair.degraded).data, sds, mode="nearest", truncate=3)
        np.testing.assert_allclose(written, expected, rtol=1e-5, atol=1e-6)
    side = read_sidecar(tmp_path / "out" / f"{pair.case}.nii.gz")
    assert side["GeneratedBy"][-1]["Settings"] == best


def test_a_filter_is_told_no_numbers(cohort: Path, tmp_path: Path) -> None:
    """The recipe of networks that are told the dose: its range is known after training alone."""
    for recipe in ("pet-demo", "pet-doses"):
        run("gaussian", cohort, "-o", tmp_path / recipe, "--split", "test", "--recipe", recipe)
    for path in sorted((tmp_path / "pet-demo").glob("*.nii.gz")):
        assert path.read_bytes() == (tmp_path / "pet-doses" / path.name).read_bytes()


def test_evaluate_takes_a_filter_like_any_method(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run("gaussian", cohort, "-o", out, "--split", "test")
    evaluate(out, cohort, tmp_path / "evaluation", readers={})
    cases = read_case_table(tmp_path / "evaluation")
    by_method = cases.groupby("method")["psnr"].mean()
    assert by_method["gaussian"] > by_method["input"]
    run("gaussian", cohort, "-o", out, "--split", "test")
    assert "already done" in capsys.readouterr().out


def test_non_local_means_keep_the_level_and_take_noise_away() -> None:
    rng = np.random.default_rng(0)
    clean = np.ones((24, 24, 6), np.float32)
    clean[8:16, 8:16] = 3
    noisy = clean + 0.3 * rng.standard_normal(clean.shape).astype(np.float32)
    restored = filtered("nlm", noisy, {"h": 0.6, "patch": 3}, EDGES)
    assert restored.dtype == np.float32
    assert psnr(restored, clean) > psnr(noisy, clean) + 3
    assert restored.mean() == pytest.approx(noisy.mean(), rel=0.02)
    assert filtered("nlm", noisy[:, :, :1], {"h": 0.6, "patch": 3}, EDGES).shape == (24, 24, 1)


def test_what_a_filter_cannot_do_is_refused_before_anything_is_written(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--samples is not for gaussian, a filter"):
        run("gaussian", cohort, "-o", tmp_path / "out", "--samples", 2)
    image = next(iter(read_pairs(cohort))).degraded
    with pytest.raises(UserError, match="is no table; nlm needs a pairs.csv"):
        run("nlm", image, "-o", tmp_path / "out")
    table = cohort / "untuned.csv"
    table.write_text((cohort / "pairs.csv").read_text().replace(",val,", ",train,"))
    with pytest.raises(UserError, match="no row of the split 'val' with a clean image"):
        run("gaussian", table, "-o", tmp_path / "out")
    assert not (tmp_path / "out" / "restored.yaml").exists()


def test_a_case_whose_affine_cannot_be_written_is_left_out(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, volume: object) -> None:
        if "sub-01" in str(path):
            raise UserError(f"{path} has an affine that cannot be taken apart")

    call = ("gaussian", cohort, "-o", tmp_path / "out", "--split", "test", "--recipe", "pet-demo")
    with monkeypatch.context() as patched:
        patched.setattr("taskgan.restore.inputs.check_affine", refuse)
        with pytest.raises(Failed, match=r"(?s)1 of 4 images are left out: .*case sub-01: .* cannot be taken"):
            run(*call)
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 3
    run(*call)
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 4
    assert verify(tmp_path / "out") == (1, [])
