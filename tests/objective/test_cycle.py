"""CycleGAN's terms: what they see, and what they are blind to."""

import pytest
import torch
from torch import Tensor

from taskgan.objective.total import CycleTotal, cycle_loss, identity_loss


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


def test_the_whole_is_their_eq_3_with_the_identity() -> None:
    one, two, three, four = (torch.tensor(float(k)) for k in (1, 2, 3, 4))
    total = CycleTotal(one, two, three, four, cycle_weight=10, identity_weight=100)
    assert total.total.item() == 433
    assert {k: v.item() for k, v in total.detached().items()} == {
        "adversarial": 1, "adversarial_degraded": 2, "cycle": 3, "identity": 4, "total": 433,
    }  # fmt: skip


def test_without_the_identity_it_is_not_reported() -> None:
    total = CycleTotal(torch.tensor(1.0), torch.tensor(1.0), torch.tensor(2.0))
    assert total.total.item() == 22
    assert "identity" not in total.detached()
    with pytest.raises(ValueError, match="identity has weight 5 but was not computed"):
        CycleTotal(torch.tensor(1.0), torch.tensor(1.0), torch.tensor(2.0), identity_weight=5)
    with pytest.raises(ValueError, match="cycle has shape"):
        CycleTotal(torch.tensor(1.0), torch.tensor(1.0), torch.ones(3))
