from itertools import pairwise

import numpy as np
import pytest
import torch

from taskgan.model import blocks
from taskgan.networks.volume_unet import VolumeUNet

STRIDE = (2, 4, 4)


@pytest.mark.parametrize("edges", [(8, 40, 40), (30, 64, 24), (200, 200, 200)])
def test_tiling_of_the_identity_is_the_identity(edges: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    volume = rng.random((2, 33, 90, 71)).astype(np.float32)
    calls: list[tuple[int, ...]] = []

    def identity(block: np.ndarray) -> np.ndarray:
        calls.append(block.shape[1:])
        return block[0]

    joined = blocks.in_blocks(identity, volume, edges=edges, reach=(4, 8, 8), stride=STRIDE)
    np.testing.assert_allclose(joined, volume[0], rtol=1e-6)
    assert (len(calls) > 1) == (max(edges) < 200)


def test_blocks_start_at_strides_and_count_nothing_where_they_miss_input() -> None:
    spans = blocks._spans(200, 64, 16, 8)
    assert len(spans) > 2
    assert all(span.start % 8 == 0 for span, _ in spans)
    for (_, weight), (following, later) in pairwise(spans):
        assert not weight[-16:].any()
        assert not later[:16].any()
        assert following.stop <= 200


def test_the_result_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = VolumeUNet(in_channels=2, width=3, max_width=6, depth=1, start=1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    volume = np.random.default_rng(0).random((2, 45, 70, 61)).astype(np.float32)
    results = [blocks.restore_blocks(network, volume, torch.device("cpu"))]
    monkeypatch.setattr(blocks, "WHOLE", 0)
    for block in ((44, 56, 200), (36, 200, 50)):
        monkeypatch.setattr(blocks, "BLOCK", block)
        results.append(blocks.restore_blocks(network, volume, torch.device("cpu")))
    assert np.abs(results[0] - volume[1]).max() > 0.1
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-4, atol=1e-5)
