import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.metrics.hallucination import (
    HallucinationMaps,
    contradiction,
    evidence_map,
    hallucination_map,
    logit_of,
    sigma_of,
    support_map,
    suvr_evidence,
)
from taskgan.metrics.regions import composite_suvr
from taskgan.networks.recogniser import recogniser_network

Array = NDArray[np.float32]
SIGMA = (0.0, 2.0, 2.0)


def share_against(found: HallucinationMaps) -> float:
    """How much of the change stands against the data."""
    return float(found.against.sum()) / float(found.evidence.sum())


@pytest.fixture(params=["convnet", "resnet10"])
def network(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    return recogniser_network(request.param, width=4)


def pair(seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    clean = ndimage.gaussian_filter(rng.random((3, 32, 32)), (0, 2, 2)).astype(np.float32) * 4
    return clean, (clean + 0.3 * rng.normal(size=clean.shape)).astype(np.float32)


def test_the_evidence_adds_up_to_the_change_of_the_logit(network: torch.nn.Module) -> None:
    clean, restored = pair()
    logit = logit_of(network)
    evidence, change, residual = evidence_map(logit, restored, clean, steps=64)
    with torch.no_grad():
        ends = [logit(torch.from_numpy(image[:, None])).numpy() for image in (restored, clean)]
    assert np.allclose(change, ends[0] - ends[1], atol=1e-5)
    assert np.allclose(evidence.sum(axis=(1, 2)) - change, residual, atol=1e-4)
    size = np.abs(change).max()
    assert np.abs(residual).max() < 0.05 * size
    coarse = np.abs(evidence_map(logit, restored, clean, steps=4)[2]).max()
    assert np.abs(residual).max() <= coarse + 1e-6


def test_a_linear_judge_is_explained_exactly() -> None:
    clean, restored = pair()
    weights = torch.from_numpy(np.random.default_rng(3).normal(size=(32, 32)).astype(np.float32))
    evidence, change, residual = evidence_map(lambda x: (x[:, 0] * weights).sum(dim=(1, 2)), restored, clean, steps=4)
    assert np.allclose(evidence, weights.numpy() * (restored - clean), atol=1e-5)
    assert np.abs(residual).max() < 1e-3 * np.abs(change).max()


def test_no_departure_no_map(network: torch.nn.Module) -> None:
    clean, _ = pair()
    found = hallucination_map(logit_of(network), clean, clean, clean, SIGMA)
    for image in (found.evidence, found.support, found.against):
        assert not image.any()
    kept = hallucination_map(logit_of(network), *[pair()[1]] * 2, clean, SIGMA)
    assert kept.evidence.any()
    assert not kept.against.any()  # the input given back contradicts no data


def noise(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Correlated, and twice as strong on one side as on the other."""
    grain = ndimage.gaussian_filter(rng.normal(size=shape), (0, 1, 1))
    return grain / grain.std() * np.linspace(0.5, 1.0, shape[-1])


def test_removing_noise_is_within_the_data_wherever_the_noise_is_strong_or_weak() -> None:
    rng = np.random.default_rng(4)
    truth = np.full((6, 96, 96), 5.0)
    z = support_map(truth.astype(np.float32), (truth + noise(truth.shape, rng)).astype(np.float32), SIGMA)
    inner = z[:, 12:-12, 12:-12]
    assert inner.std() == pytest.approx(1.0, abs=0.12)
    assert (np.abs(inner) > 3).mean() < 0.01
    left, right = inner[..., :30].std(), inner[..., -30:].std()
    assert left / right == pytest.approx(1.0, abs=0.15)


def test_an_invented_lesion_stands_out_where_it_is() -> None:
    rng = np.random.default_rng(5)
    truth = np.full((1, 96, 96), 5.0)
    measured = (truth + noise(truth.shape, rng)).astype(np.float32)
    invented = truth.copy()
    invented[0, 45:52, 45:52] += 3.0
    z = support_map(invented.astype(np.float32), measured, SIGMA)
    assert z[0, 48, 48] > 4
    assert np.unravel_index(int(np.argmax(np.abs(z))), z.shape)[1:] == pytest.approx((48, 48), abs=2)


def test_the_hallucination_map_is_the_evidence_that_the_data_contradict() -> None:
    rng = np.random.default_rng(6)
    truth = np.full((1, 64, 64), 5.0, dtype=np.float32)
    measured = (truth + noise(truth.shape, rng)).astype(np.float32)
    against, within = truth.copy(), measured.copy()
    against[0, 30:36, 30:36] += 3.0

    def logit(x: torch.Tensor) -> torch.Tensor:
        return x[:, 0, 30:36, 30:36].sum(dim=(1, 2))

    invented = hallucination_map(logit, against, measured, truth, SIGMA)
    assert share_against(invented) > 0.9
    assert np.abs(invented.against).sum() <= np.abs(invented.evidence).sum()
    copied = hallucination_map(logit, within, measured, truth, SIGMA)
    assert share_against(copied) == 0


def test_a_restoration_that_only_removes_noise_is_not_held_against_anybody() -> None:
    rng = np.random.default_rng(8)
    truth = np.full((4, 96, 96), 5.0, dtype=np.float32)
    measured = (truth + noise(truth.shape, rng)).astype(np.float32)
    # The evidence is spread evenly, so that the share is that of the area.
    found = hallucination_map(lambda x: x.mean(dim=(1, 2, 3)), truth, measured, 0.8 * truth, SIGMA)
    assert 0 <= share_against(found) < 0.06
    assert contradiction(np.array([0.0, 1.9, -1.9], dtype=np.float32)).tolist() == [0, 0, 0]
    assert contradiction(np.array([2.0, -2.5, 4.0], dtype=np.float32)).tolist() == pytest.approx(
        [0.09, 0.7516, 0.9987], abs=1e-3
    )


def test_without_a_clean_image_the_reference_is_the_smoothed_measurement(network: torch.nn.Module) -> None:
    clean, measured = pair()
    found = hallucination_map(logit_of(network), clean, measured, None, SIGMA)
    smooth = ndimage.gaussian_filter(measured, SIGMA, mode="nearest")
    expected = hallucination_map(logit_of(network), clean, measured, smooth, SIGMA)
    assert np.allclose(found.evidence, expected.evidence)
    assert np.isfinite(share_against(found))


def test_the_observers_evidence_adds_up_to_the_change_of_the_suvr() -> None:
    rng = np.random.default_rng(7)
    clean = rng.uniform(1, 2, (12, 12, 4)).astype(np.float32)
    restored = (clean * rng.uniform(0.7, 1.2, clean.shape)).astype(np.float32)
    cortex, region = np.zeros(clean.shape, bool), np.zeros(clean.shape, bool)
    cortex[2:6], region[8:10] = True, True
    evidence = suvr_evidence(restored, clean, cortex, region)
    change = composite_suvr(restored, cortex, region) - composite_suvr(clean, cortex, region)
    assert evidence.sum() == pytest.approx(change, abs=1e-4)
    assert not evidence[~(cortex | region)].any()
    assert not suvr_evidence(clean, clean, cortex, region).any()


def test_sizes_are_checked_and_sigma_is_in_voxels() -> None:
    image = np.zeros((1, 8, 8), dtype=np.float32)
    with pytest.raises(ValueError, match="expected the same"):
        support_map(image, image[:, :4], SIGMA)
    with pytest.raises(ValueError, match="expected the same"):
        evidence_map(lambda x: x.sum(dim=(1, 2, 3)), image, image[:, :4])
    assert sigma_of((2.0, 4.0, 8.0), 4.0) == (2.0, 1.0, 0.5)
