import numpy as np
import pytest
import torch

from taskgan.judges.volumes import slice_features
from taskgan.networks.recogniser import recogniser_network


@pytest.mark.parametrize("name", ["convnet", "resnet10"])
def test_features_are_the_last_stage_averaged_over_each_slice(name: str) -> None:
    torch.manual_seed(0)
    network = recogniser_network(name, width=4)  # type: ignore[arg-type]
    network.train()
    slices = np.random.default_rng(0).normal(size=(70, 40, 36)).astype(np.float32)  # more than one batch
    found = slice_features(network, slices)
    assert network.training
    with torch.no_grad():
        last = network.eval()(torch.from_numpy(slices[:, None]))[1][-1]
    assert found.shape == (70, 32)
    assert found == pytest.approx(last.mean(dim=(2, 3)).numpy(), abs=1e-5)


def test_a_slice_is_the_same_in_any_company_and_its_content_matters() -> None:
    torch.manual_seed(0)
    network = recogniser_network("convnet", width=4)
    slices = np.random.default_rng(0).normal(size=(6, 40, 36)).astype(np.float32)
    assert slice_features(network, slices[::-1])[::-1] == pytest.approx(slice_features(network, slices), abs=1e-6)
    assert not np.allclose(slice_features(network, 2 * slices), slice_features(network, slices), atol=1e-3)


def test_no_slices_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        slice_features(recogniser_network("convnet", width=2), np.zeros((0, 8, 8), np.float32))
