import numpy as np
import pytest

from taskgan.physics.tissues import TISSUES, index
from taskgan.simulate.anatomy import DETAILED, FAT, SKULL, SOFT, VESSELS, WHITE, Anatomy, brainweb_anatomy
from taskgan.simulate.deform import Grid, Head, draw_shape, rotation
from taskgan.simulate.mr.body import (
    PROFILE,
    Blob,
    Disease,
    Movement,
    body,
    candidates,
    draw_disease,
    replaced_fractions,
    scanned_head,
    truth_masks,
)

GRID = Grid((64, 64, 12), (3.0, 3.0, 5.0))


@pytest.fixture(scope="module")
def ball(onion) -> Anatomy:
    return brainweb_anatomy(onion, 4.0, detailed=True)


def test_a_detailed_anatomy_tells_fat_and_vessels_from_the_rest(onion, ball):
    plain = brainweb_anatomy(onion, 4.0)
    assert len(ball.maps) == len(DETAILED)
    np.testing.assert_allclose(ball.maps.sum(axis=0), plain.maps.sum(axis=0), atol=1e-6)
    np.testing.assert_array_equal(ball.maps[:3], plain.maps[:3])
    assert ball.maps[FAT].sum() > 50 * ball.maps[VESSELS].sum() > 0
    marrow = plain.maps[SKULL] - ball.maps[SKULL]
    scalp = plain.maps[SOFT] - ball.maps[SOFT]
    np.testing.assert_allclose(marrow + scalp, ball.maps[FAT] + ball.maps[VESSELS], atol=1e-6)
    assert marrow.max() > 0.2


@pytest.fixture(scope="module")
def head(ball) -> Head:
    return scanned_head(ball, GRID, draw_shape(np.random.default_rng(1)), Movement.none())


def _blob(centre=(20.0, 10.0, 0.0), axes=(8.0, 8.0, 8.0), **changes):
    values = {"edge_mm": 0.5, "waves": np.zeros(3), "uneven": 0.0, **changes}
    return Blob(np.array(centre), np.array(axes), np.eye(3), **values)


def _still(blobs, grid=GRID):
    return replaced_fractions(blobs, grid, PROFILE, np.eye(3), np.zeros(3))


def test_profile_is_a_mean_about_the_middle():
    heights, weights = np.array(PROFILE).T
    assert weights.sum() == pytest.approx(1)
    assert (heights * weights).sum() == pytest.approx(0)


def test_a_blob_has_its_volume_and_a_soft_edge():
    found = _still([_blob()])
    ml = found.sum() * np.prod(GRID.voxel_mm) / 1000
    assert ml == pytest.approx(4 / 3 * np.pi * 8**3 / 1000, rel=0.05)
    assert found.max() == pytest.approx(1, abs=1e-3)
    assert ((found > 0.05) & (found < 0.95)).sum() > 30
    assert (_still([_blob(strength=0.6)]) <= 0.6).all()
    np.testing.assert_array_equal(_still([_blob(), _blob()]), found)


def test_a_blob_moves_with_the_head_and_disappears_outside():
    fine = Grid((96, 96, 48), (2.0, 2.0, 2.0))
    turn, shift = rotation(np.radians([0.0, 0.0, 20.0])), np.array([4.0, -6.0, 2.0])
    found = replaced_fractions([_blob()], fine, [(0.0, 1.0)], turn, shift)
    at = np.array([(found * axis).sum() for axis in np.indices(found.shape)]) / found.sum()
    scanner = (at - 0.5 * (np.array(fine.shape) - 1)) * 2.0
    np.testing.assert_allclose(turn @ scanner + shift, [20.0, 10.0, 0.0], atol=0.1)
    assert (_still([_blob(centre=(500.0, 0.0, 0.0))]) == 0).all()


def test_lesions_replace_tissue_and_nothing_is_lost(head, rng):
    healthy = body(head, Disease(), GRID, Movement.none())
    assert healthy[index("plaque")].max() == 0
    np.testing.assert_allclose(healthy.sum(axis=0), head.fractions.sum(axis=0), atol=1e-6)
    for kind, name in (("lesions", "plaque"), ("tumour", "tumour")):
        sick = body(head, draw_disease(kind, head, GRID, rng), GRID, Movement.none())
        assert sick[index(name)].max() > 0.5
        assert sick.min() >= -1e-6
        np.testing.assert_allclose(sick.sum(axis=0), healthy.sum(axis=0), atol=1e-5)
        changed = np.abs(sick - healthy).sum(axis=0)
        disease = sum(sick[index(n)] for n in ("plaque", "tumour", "oedema"))
        np.testing.assert_allclose(changed, 2 * disease, atol=1e-5)  # what disease gains others lose
        np.testing.assert_array_equal(sick[index("skull")], healthy[index("skull")])


def test_masks_agree_with_the_fractions(head, rng):
    for kind in ("control", "lesions", "tumour"):
        fractions = body(head, draw_disease(kind, head, GRID, rng), GRID, Movement.none())
        found = truth_masks(fractions)
        part = {name: fractions[index(name)] for name in TISSUES}
        disease = part["plaque"] + part["tumour"] + part["oedema"]
        np.testing.assert_array_equal(found["lesions"], disease >= 0.5)
        np.testing.assert_array_equal(found["tumour"], part["tumour"] >= 0.5)
        assert found["lesions"].any() == (kind != "control")
        assert found["tumour"].any() == (kind == "tumour")
        assert not (found["tumour"] & ~found["lesions"]).any()
        for name in ("white", "grey", "csf"):
            assert found[name].any()
            assert not (found[name] & (disease > 0.01)).any()
            assert part[name][found[name]].min() >= 0.7
        assert not (found["brain"] & ~found["head"]).any()


def test_lesions_lie_where_they_should(head):
    where = candidates(head, GRID)
    assert all(mask.any() for mask in where.values())
    white = head.fractions[WHITE]
    for mask in where.values():
        assert white[mask].min() > 0.6
    counts: dict[str, int] = {}
    for seed in range(30):
        disease = draw_disease("lesions", head, GRID, np.random.default_rng(seed))
        assert 5 <= len(disease.plaques) <= 45
        assert 2 * max(blob.axes.max() for blob in disease.plaques) >= 10
        for place, number in disease.places:
            counts[place] = counts.get(place, 0) + number
    total = sum(counts.values())
    assert counts["periventricular"] / total == pytest.approx(0.55, abs=0.08)
    assert counts["juxtacortical"] / total == pytest.approx(0.25, abs=0.08)
    assert draw_disease("control", head, GRID, np.random.default_rng(0)) == Disease()


def test_no_movement_is_exact_and_a_movement_is_rigid(ball, head):
    shape = draw_shape(np.random.default_rng(1))
    again = scanned_head(ball, GRID, shape, Movement(rotation(np.zeros(3)), np.zeros(3)))
    np.testing.assert_array_equal(again.fractions, head.fractions)
    # A shift by one voxel is a shift of the voxels, but for the warp, which stays with the scanner.
    still = type(shape)(shape.matrix, shape.shift, np.zeros_like(shape.knots), 0.0)
    here = scanned_head(ball, GRID, still, Movement.none()).fractions
    there = scanned_head(ball, GRID, still, Movement(np.eye(3), np.array([3.0, 0.0, 0.0]))).fractions
    np.testing.assert_allclose(there[:, :-1], here[:, 1:], atol=1e-4)
