import numpy as np
import pytest

from taskgan.simulate.anatomy import COMPOSITE, GREY, REGIONS, index, reference_at, regions_at
from taskgan.simulate.pet.uptake import COMPOSITE_TABLE, TABLE

# MNI coordinates of textbook landmarks.
LANDMARKS = {
    "middle frontal gyrus": ((40, 32, 30), "frontal"),
    "frontal pole": ((-20, 60, 5), "frontal"),
    "superior temporal gyrus": ((58, -20, 0), "lateral_temporal"),
    "inferior temporal gyrus": ((-54, -30, -22), "lateral_temporal"),
    "temporal pole": ((38, 12, -32), "lateral_temporal"),
    "supramarginal gyrus": ((58, -35, 35), "parietal"),
    "superior parietal lobule": ((-30, -58, 60), "parietal"),
    "calcarine": ((8, -82, 6), "occipital"),
    "occipital pole": ((-20, -98, 0), "occipital"),
    "anterior cingulate": ((5, 34, 18), "anterior_cingulate"),
    "posterior cingulate": ((-5, -48, 26), "posterior_cingulate"),
    "precuneus": ((6, -62, 48), "precuneus"),
    "putamen": ((26, 4, 2), "striatum"),
    "caudate head": ((-12, 14, 6), "striatum"),
    "thalamus": ((10, -18, 8), "thalamus"),
    "crus I": ((34, -66, -34), "cerebellar_grey"),
    "hippocampus": ((-28, -20, -14), "mesial_temporal"),
    "insula": ((38, 4, 2), "insula"),
    "pons": ((4, -26, -32), "brainstem"),
}


@pytest.mark.parametrize("name", LANDMARKS)
@pytest.mark.parametrize("mirror", [1, -1])
def test_landmarks_lie_in_their_region(name, mirror):
    (x, y, z), region = LANDMARKS[name]
    point = np.array([[mirror * x], [y], [z]], dtype=np.float32)
    assert REGIONS[int(regions_at(point)[0])] == region


def test_every_region_has_grey_matter(mni):
    grid = np.indices(mni.maps.shape[1:], dtype=np.float32)
    points = np.tensordot(mni.affine[:3, :3], grid, axes=1) + mni.affine[:3, 3].reshape(3, 1, 1, 1)
    found = regions_at(points.astype(np.float32))
    millilitres = {name: float(mni.maps[GREY][found == index(name)].sum()) * 0.008 for name in REGIONS}
    assert min(millilitres.values()) > 8
    assert millilitres["frontal"] == max(millilitres.values())
    reference = reference_at(points) & (mni.maps[GREY] > 0.7)
    assert (found[reference] == index("cerebellar_grey")).mean() > 0.99


@pytest.mark.parametrize("positive", [0, 1])
def test_composite_regions_average_to_the_composite_of_the_table(positive):
    mean = np.mean([TABLE[name][positive][0] for name in COMPOSITE])
    assert mean == pytest.approx(COMPOSITE_TABLE[positive][0], abs=0.005)
