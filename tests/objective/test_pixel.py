import pytest
import torch

from taskgan.objective.total import pixel_loss


def test_zero_for_equal_and_the_offset_for_an_offset() -> None:
    clean = torch.randn(3, 1, 8, 8)
    assert pixel_loss(clean, clean).tolist() == [0.0, 0.0, 0.0]
    offset = torch.tensor([0.5, -1.0, 2.0])
    torch.testing.assert_close(pixel_loss(clean + offset[:, None, None, None], clean), offset.abs())


def test_each_case_has_its_own_value() -> None:
    clean, restored = torch.randn(4, 2, 5, 6), torch.randn(4, 2, 5, 6)
    together = pixel_loss(restored, clean)
    alone = torch.stack([pixel_loss(r[None], c[None])[0] for r, c in zip(restored, clean, strict=True)])
    torch.testing.assert_close(together, alone)


def test_more_noise_costs_more() -> None:
    clean, noise = torch.randn(8, 1, 16, 16), torch.randn(8, 1, 16, 16)
    costs = [pixel_loss(clean + level * noise, clean).mean().item() for level in (0.1, 0.2, 0.4)]
    assert costs == sorted(costs)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        pixel_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 3, 4, 4))
