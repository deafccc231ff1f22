"""CycleGAN's terms: what they see, and what they are blind to."""

import pytest
import torch
from torch import Tensor

from taskgan.objective.total import cycle_loss, identity_loss


def images(seed: int, batch: int = 3) -> Tensor:
    return torch.rand(batch, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_generators_that_undo_each_other_pay_nothing_whatever_they_do_on_the_way() -> None:
    """Figure 5: labels may be swapped and swapped back."""
    x_degraded, x = images(0), images(1)

    def forth(image: Tensor) -> Tensor:
        return 3 * image.flip(-1) + 7

    def back(image: Tensor) -> Tensor:
        return ((image - 7) / 3).flip(-1)

    around = cycle_loss(back(forth(x_degraded)), x_degraded, forth(back(x)), x)
    torch.testing.assert_close(around, torch.zeros(3), atol=1e-5, rtol=0)
    assert (identity_loss(forth(x), x, back(x_degraded), x_degraded) > 1).all()  # this one objects


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
def test_both_directions_count_alike_and_each_place_has_its_own_value(loss) -> None:  # type: ignore[no-untyped-def]
    one, other = images(0), images(1)
    offset = torch.tensor([0.0, 0.5, -2.0])[:, None, None, None]
    here, there = loss(one + offset, one, other, other), loss(one, one, other + offset, other)
    torch.testing.assert_close(here, torch.tensor([0.0, 0.5, 2.0]))
    torch.testing.assert_close(there, here)
    both = loss(one + offset, one, other + offset, other)
    torch.testing.assert_close(both, 2 * here)


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
def test_further_away_costs_more(loss) -> None:  # type: ignore[no-untyped-def]
    one, other, noise = images(0), images(1), images(2) - 0.5
    costs = [float(loss(one + k * noise, one, other, other).mean()) for k in range(5)]
    assert costs == sorted(costs)
    assert costs[0] == 0


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
def test_shapes_that_would_broadcast_are_refused(loss) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="differ in shape"):
        loss(images(0), images(1), images(0, batch=1), images(1))
