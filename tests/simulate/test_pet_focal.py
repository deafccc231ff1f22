"""Lesions, spheres, repeats, isotropic voxels, numbered doses and a T1-weighted image of simulated PET."""

import itertools

import numpy as np
import pytest

from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.judges.lesions import usable_rows
from taskgan.physics.sequences import target_path
from taskgan.simulate.anatomy import COMPOSITE, GREY, WHITE
from taskgan.simulate.deform import Grid, Head
from taskgan.simulate.pet.acquire import osem, sensitivities, system_model
from taskgan.simulate.pet.cohort import simulate_pet
from taskgan.simulate.pet.focal import (
    CONTRASTS,
    DIAMETERS_MM,
    SPHERES_MM,
    Finding,
    ball_share,
    draw_findings,
    insert_findings,
)
from taskgan.simulate.pet.projector import Projector
from taskgan.simulate.pet.settings import PetSimulation, pet_simulation, plan_subjects, scanner_preset
from taskgan.simulate.pet.subject import acquire_and_reconstruct

GRID = Grid((72, 64, 30), (2.0, 2.0, 5.2))


@pytest.fixture(scope="module")
def uniform() -> Head:
    """White matter everywhere, in template coordinates that are the scanner's, moved up to the cerebrum."""
    fractions = np.zeros((5, *GRID.shape), dtype=np.float32)
    fractions[WHITE] = 1
    axes = [(np.arange(n) - 0.5 * (n - 1)) * d for n, d in zip(GRID.shape, GRID.voxel_mm, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    points[1] -= 18
    points[2] += 20
    return Head(fractions, points, 0.0)


@pytest.mark.parametrize("diameter", [8.0, 10.0, 17.0, 37.0])
def test_a_ball_has_the_volume_of_a_sphere(diameter):
    for centre in ((0.0, 0.0, 0.0), (3.3, -7.1, 1.9)):
        share = ball_share(GRID, centre, diameter / 2)
        volume = share.sum(dtype=float) * np.prod(GRID.voxel_mm)
        assert volume == pytest.approx(np.pi / 6 * diameter**3, rel=0.01)
        where = np.stack(np.meshgrid(*(np.arange(n) for n in GRID.shape), indexing="ij"))
        middle = [float((share * w).sum(dtype=float) / share.sum(dtype=float)) for w in where]
        at = [(m - 0.5 * (n - 1)) * d for m, n, d in zip(middle, GRID.shape, GRID.voxel_mm, strict=True)]
        assert at == pytest.approx(centre, abs=0.1)
    assert ball_share(GRID, (500.0, 0.0, 0.0), 10.0).max() == 0


def test_spheres_have_their_contrast_exactly_and_do_not_meet(uniform):
    findings = draw_findings("spheres", uniform, GRID, np.random.default_rng(0))
    assert sorted(f.diameter_mm for f in findings) == sorted(SPHERES_MM)
    for a, b in itertools.combinations(findings, 2):
        gap = np.linalg.norm(np.subtract(a.centre_mm, b.centre_mm)) - (a.diameter_mm + b.diameter_mm) / 2
        assert gap > 6
    background = np.full(GRID.shape, 1.5, dtype=np.float32)
    made = insert_findings(background, findings, uniform, GRID)
    total = 0.0
    for number, (finding, truth) in enumerate(zip(findings, made.truth, strict=True), start=1):
        share = ball_share(GRID, finding.centre_mm, finding.diameter_mm / 2)
        assert made.suvr[share == 1] == pytest.approx(6.0, abs=1e-5)
        assert truth["suvr"] == pytest.approx(6.0)
        assert truth["volume_ml"] == pytest.approx(np.pi / 6000 * finding.diameter_mm**3, rel=0.01)
        assert ((made.numbers == number) == (share >= 0.5)).all()
        total += share.sum(dtype=float)
    # Activity is conserved: what was added is volume times the step.
    assert (made.suvr - background).sum(dtype=float) == pytest.approx(4.5 * total, rel=1e-4)


def test_lesions_climb_the_ladder_and_stay_apart(uniform):
    seen = []
    for seed in range(60):
        findings = draw_findings("lesions", uniform, GRID, np.random.default_rng(seed))
        assert 1 <= len(findings) <= 3
        for a, b in itertools.combinations(findings, 2):
            distance = np.linalg.norm(np.subtract(a.centre_mm, b.centre_mm))
            assert distance > (a.diameter_mm + b.diameter_mm) / 2
        seen += findings
    assert {(f.diameter_mm, f.contrast) for f in seen} == set(itertools.product(DIAMETERS_MM, CONTRASTS))
    assert {f.region for f in seen} <= set(COMPOSITE)
    assert not draw_findings("none", uniform, GRID, np.random.default_rng(0))


def test_a_lesion_ends_at_the_brain_and_knows_its_host(uniform):
    half = uniform.fractions.copy()
    half[WHITE, :36] = 0
    head = Head(half, uniform.points, 0.0)
    lesion = Finding((0.0, 0.0, 0.0), 24.0, 2.0, "white", "frontal", True)
    suvr = np.where(half[WHITE] > 0, 1.2, 0.4).astype(np.float32)
    made = insert_findings(suvr, [lesion], head, GRID)
    assert (made.suvr[:36] == suvr[:36]).all()
    assert made.suvr.max() == pytest.approx(2.4, abs=1e-5)
    assert made.truth[0]["volume_ml"] == pytest.approx(np.pi / 12000 * 24**3, rel=0.02)
    nowhere = Head(np.zeros_like(half), uniform.points, 0.0)
    with pytest.raises(UserError, match="no cortex and no white matter of a lobe"):
        draw_findings("lesions", nowhere, GRID, np.random.default_rng(0))
    assert GREY != WHITE


def test_the_plan_changes_in_nothing_but_the_findings():
    plain = plan_subjects(PetSimulation(subjects=24), None)
    some = plan_subjects(PetSimulation(subjects=24, lesions=0.5, spheres=2), None)
    for before, after in zip(plain, some, strict=True):
        assert {**vars(before), "focal": ""} == {**vars(after), "focal": ""}
    for split, size in (("train", 12), ("val", 4), ("test", 8)):
        own = [s.focal for s in some if s.split == split]
        assert own.count("lesions") == size // 2
        assert own.count("spheres") == (2 if split == "test" else 0)
    with pytest.raises(UserError, match="spheres is 5, but 4 of 8 test subjects are without lesions"):
        plan_subjects(PetSimulation(subjects=24, lesions=0.5, spheres=5), None)


def test_isotropic_voxels_keep_the_field_of_view_and_the_counts():
    demo, cube = scanner_preset("demo"), scanner_preset("demo", 2.0)
    assert (cube.pixels, cube.slices) == (112, 73)
    assert (cube.pixel_mm, cube.slice_mm) == (2.0, 2.0)
    assert cube.slices * cube.trues_per_kbq == pytest.approx(demo.slices * demo.trues_per_kbq, rel=0.01)
    full = scanner_preset("full", 2.0)
    assert full.pixels * 2 == pytest.approx(256 * 1.17, abs=2)
    with pytest.raises(Problems, match="voxel"):
        pet_simulation(voxel=0.5)


def test_repeats_are_independent_and_their_variance_falls_with_dose(projector, make_disc):
    """Noise of images against their mean: no correlation between acquisitions; at a tenth of the counts ten times
    the variance, but for what OSEM's positivity and the blur make of it."""
    activity = make_disc(projector.scanner, 70.0, 8.0)
    per_cm = np.asarray(activity > 0, dtype=np.float32) * np.float32(0.096)
    seeds = [np.random.SeedSequence([0, 1]), *(np.random.SeedSequence([0, 1, k]) for k in range(2, 10))]
    scans = [acquire_and_reconstruct(projector, activity, per_cm, (10.0,), s) for s in seeds]
    inner = make_disc(projector.scanner, 55.0) == 1
    prompts = {dose: np.array([s.prompts[dose] for s in scans], dtype=float) for dose in (10.0, 100.0)}
    assert prompts[10.0].mean() / prompts[100.0].mean() == pytest.approx(0.1, rel=0.01)
    # Poisson: the variance of the totals is their mean.
    assert 0.2 < prompts[100.0].var(ddof=1) / prompts[100.0].mean() < 3
    noise = {d: np.stack([s.images[d][inner] for s in scans]) for d in (10.0, 100.0)}
    noise = {d: values - values.mean(axis=0) for d, values in noise.items()}
    assert noise[10.0].var() / noise[100.0].var() == pytest.approx(10, rel=0.35)
    pairs = [np.corrcoef(a, b)[0, 1] for a, b in itertools.combinations(noise[100.0], 2)]
    assert np.mean(pairs) == pytest.approx(-1 / 8, abs=0.03)  # of deviations from their own mean


def test_without_noise_a_large_sphere_recovers_and_a_small_one_does_not(make_scanner):
    """OSEM of expected counts: recovery rises with the diameter, as in every NEMA report."""
    scanner = make_scanner(iterations=6, post_filter_mm=0)
    projector = Projector(scanner)
    activity, recovered = np.zeros((48, 48, 3), dtype=np.float32), []
    grid = Grid((48, 48, 3), (4.0, 4.0, 5.0))
    disc = projector.support[..., None] * np.ones(3, dtype=np.float32)
    balls = [ball_share(grid, (x, 0.0, 0.0), r) for x, r in ((-40.0, 5.0), (0.0, 11.0), (45.0, 18.5))]
    activity = 2 * disc + 6 * sum(balls)
    model = system_model(projector, activity, 0 * activity)
    counts = [model.expected(projector.blur(activity), s) for s in range(scanner.subsets)]
    image = osem(model, counts, fraction=1.0, sensitivity=sensitivities(model), iterations=6)
    for ball in balls:
        inside = ball >= 0.5
        recovered.append(image[inside].mean() / activity[inside].mean())
    assert recovered[0] < recovered[1] <= recovered[2] + 0.02
    assert recovered[2] == pytest.approx(1, abs=0.05)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pytest.importorskip("nilearn", reason="the MNI anatomy comes with nilearn")
    settings = pet_simulation(
        subjects=6, positive=0.5, doses=(5.0,), seed=3, iterations=1, voxel=4.0, repeats=2, lesions=0.5,
        spheres=1, with_t1=True,
    )  # fmt: skip
    return simulate_pet(tmp_path_factory.mktemp("focal") / "cohort", settings, workers=1)


def test_the_table_has_what_was_asked_for(made):
    pairs = read_pairs(made)
    assert len(pairs) == 6 * 2
    assert [p.case for p in pairs][:2] == [f"sub-001_dose-05_run-{k}" for k in (1, 2)]
    assert {p.columns["repeat"] for p in pairs} == {"1", "2"}
    for subject in {p.subject for p in pairs}:
        own = [p for p in pairs if p.subject == subject]
        assert len({p.split for p in own}) == len({p.label for p in own}) == 1
        assert len({p.clean for p in own}) == 2
        assert len({p.degraded for p in own}) == 2
    settings = read_description(made)["settings"]
    assert (settings["repeats"], settings["lesions"], settings["voxel"]) == (2, 0.5, 4.0)
    assert "scale" in settings
    assert len(usable_rows(pairs)) > 0  # the lesion observer can learn from it


def test_masks_labels_and_sidecars_agree(made):
    kinds = set()
    for pair in read_pairs(made):
        numbers, lesions = (read_volume(pair.path(name)).data for name in ("findings", "lesions"))
        listed = read_sidecar(pair.path("findings"))["Findings"]
        regions = {f["region"] for f in listed if f["confined"]}
        assert {name for name in COMPOSITE if pair.columns[f"lesion_{name}"] == "1"} == regions
        assert int(pair.columns["lesion"]) == bool(regions) == bool(lesions.any())
        assert int(pair.columns["lesion_count"]) == sum(f["confined"] for f in listed)
        assert ((numbers > 0) == (lesions > 0)).all() or not lesions.any()
        truth = read_volume(pair.path("truth")).data
        for finding in listed:
            inside = truth[numbers == finding["number"]]
            if finding["diameter_mm"] > 30 and not finding["confined"]:
                assert inside.max() == pytest.approx(np.median(inside), rel=1e-3)
            assert inside.mean() > 1.05 * np.median(truth[read_volume(pair.path("white")).data > 0]) or regions
        kinds.add("lesions" if regions else "spheres" if listed else "none")
        cortex, reference = (read_volume(pair.path(name)).data > 0 for name in ("cortex", "reference"))
        assert not (numbers[cortex | reference] > 0).any()
        composite = truth[cortex].mean(dtype=float) / truth[reference].mean(dtype=float)
        assert composite == pytest.approx(float(pair.columns["composite_suvr"]), abs=1e-4)
    assert kinds == {"lesions", "spheres", "none"}


def test_the_t1_has_the_contrast_of_its_sequence(made):
    """White matter above grey matter above CSF, on the grid of the PET."""
    for pair in read_pairs(made).rows[::2]:
        t1, clean = read_volume(pair.path("t1")), read_volume(pair.clean)
        assert pair.path("t1") == made / target_path(pair.subject, "T1w")
        np.testing.assert_allclose(t1.affine, clean.affine)
        white, cortex, brain = (read_volume(pair.path(name)).data > 0 for name in ("white", "cortex", "brain"))
        mean_white, mean_grey = t1.data[white].mean(), t1.data[cortex].mean()
        assert mean_white > 1.05 * mean_grey
        fluid = ~brain & (read_volume(pair.path("mask")).data > 0)
        assert np.percentile(t1.data[fluid], 10) < mean_grey
        assert read_sidecar(pair.path("t1"))["RepetitionTime"] == 0.6
