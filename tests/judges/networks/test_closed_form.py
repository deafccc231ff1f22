"""Recognisers whose last layer is fitted: faces that differ between people and, elsewhere, between photos of one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from taskgan.core.errors import UserError
from taskgan.judges import discriminant as room
from taskgan.judges.discriminant import repeated_subjects, solve_discriminant
from taskgan.judges.fit import fit_recogniser
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.volumes import CleanSlices, CleanVolume
from taskgan.recipe import RecogniserSettings as Settings
from taskgan.recipe import Target, Task

FACES = Target(kind="embedding", labels=("subject",), size=6)


def faces(prefix: str, people: int, photos: int, seed: int) -> CleanSlices:
    """32×32: a pattern of the person's own in the upper half, one of the photo's in the lower."""
    rng = np.random.default_rng(seed)
    made = []
    for person in range(people):
        own = rng.random((4, 8))
        for _ in range(photos):
            image = np.kron(np.concatenate([own, rng.random((4, 8))]), np.ones((4, 4)))
            image += 0.05 * rng.random((32, 32))
            made.append(CleanVolume(f"{prefix}{person}", float(person), image[None].astype(np.float32)))
    return CleanSlices(tuple(made))


def test_directions_in_which_photos_of_one_person_differ_count_for_less() -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(60), 4).astype(float)
    own = rng.normal(size=(60, 3))[who.astype(int)]
    found = np.concatenate([own, 5 * rng.normal(size=(240, 3))], axis=1).astype(np.float32)
    matrix, mean = solve_discriminant(found, who, 3)
    assert matrix.shape == (3, 6)
    np.testing.assert_allclose(mean, found.mean(axis=0), atol=1e-5)
    assert np.abs(matrix[:, 3:]).max() < 0.05 * np.abs(matrix[:, :3]).max()
    wide, _ = solve_discriminant(found, who, 9)
    assert not wide[6:].any()  # there are six axes


def test_more_numbers_than_images_give_the_axes_that_the_covariance_has() -> None:
    rng = np.random.default_rng(1)
    who = np.repeat(np.arange(10), 3).astype(float)
    found = (rng.normal(size=(10, 40))[who.astype(int)] + 0.3 * rng.normal(size=(30, 40))).astype(np.float32)
    few, mean = solve_discriminant(found, who, 5)
    many, _ = solve_discriminant(np.concatenate([found] * 2), np.concatenate([who] * 2), 5)
    one, two = ((found - mean) @ matrix.T for matrix in (few, many))
    own = [np.corrcoef(pdist(one), pdist(two))[0, 1]]
    assert min(own) > 0.99


def auc(settings: Settings, train: CleanSlices, val: CleanSlices) -> float:
    found = fit_recogniser(settings, train, val, title="judge", target=FACES).card.validation.auc
    assert found is not None
    return found


def test_oriented_gradients_learn_in_closed_form_who_is_who(tmp_path: Path) -> None:
    settings = Settings(network="gradients", seed=3)
    train, val = faces("t", 60, 3, 0), faces("v", 20, 3, 1)
    reader = fit_recogniser(settings, train, val, title="judge", target=FACES)
    assert reader.card.step == 0
    assert reader.card.validation.auc is not None
    assert reader.card.validation.auc > 0.8
    reader.save(tmp_path / "judge")
    image = val.volumes[0].slices
    np.testing.assert_allclose(Recogniser.load(tmp_path / "judge").read(image), reader.read(image), atol=1e-5)
    assert reader.read(image).shape == (1, 6)


def test_a_network_that_learns_by_steps_is_the_better_for_a_discriminant() -> None:
    settings = Settings(
        network="convnet", width=4, steps=4, batch_size=8, validate_every=2, sampling="images", discriminant=True
    )
    train, val = faces("t", 40, 3, 0), faces("v", 20, 3, 1)
    assert auc(settings, train, val) > auc(settings.model_copy(update={"discriminant": False}), train, val)


def test_a_look_is_fitted_to_whole_people_with_several_images(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, together = faces("a", 5, 1, 0), faces("t", 10, 3, 1)
    everybody = CleanSlices((*alone, *together))
    assert repeated_subjects(everybody).subjects == together.subjects
    assert repeated_subjects(alone).subjects == alone.subjects
    monkeypatch.setattr(room, "_MOST", 10)
    some = repeated_subjects(everybody)
    assert len(some) == 3 * len(some.subjects) <= 12


def test_nobody_with_two_images_is_a_sentence() -> None:
    with pytest.raises(UserError, match="none of the 5 training people has two images"):
        auc(Settings(network="gradients"), faces("t", 5, 1, 0), faces("v", 3, 2, 1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": "unet", "reduce": 2}, "answers for every pixel"),
        ({"network": "vgg_face", "weights": "w.pth", "standardise": True}, "as its authors do"),
    ],
)
def test_networks_that_cannot_be_prepared_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"network": "gradients"}, {"discriminant": True}])
def test_a_discriminant_wants_identities(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"task\.pretrain\..*fitted to identities"):
        Task(pretrain=Settings(**values))  # type: ignore[arg-type]


def test_reduced_and_standardised_networks_read_as_they_were_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = Settings(network="convnet", width=4, steps=1, batch_size=4, reduce=2, standardise=True)
    reader = fit_recogniser(settings, faces("t", 4, 2, 0), faces("v", 2, 2, 1), title="task", target=FACES)
    reader.save(tmp_path / "task")
    image: NDArray[np.float32] = faces("v", 1, 1, 5).volumes[0].slices
    again = Recogniser.load(tmp_path / "task")
    np.testing.assert_allclose(again.read(image), reader.read(image), atol=1e-5)
    np.testing.assert_allclose(again.read(0.5 * image + 0.2), again.read(image), atol=0.1)
