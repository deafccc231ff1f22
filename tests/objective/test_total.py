import pytest
import torch

from taskgan.objective.total import TotalLoss


def test_eq_4_is_the_weighted_sum() -> None:
    one, two, three, four = (torch.tensor(float(k)) for k in (1, 2, 3, 4))
    total = TotalLoss(one, two, three, four, lambda_gan=10, mu_task=100, nu_features=1000)
    assert total.total.item() == 4321
    assert {k: v.item() for k, v in total.detached().items()} == {
        "pixel": 1, "adversarial": 2, "task": 3, "task_features": 4, "total": 4321,
    }  # fmt: skip


def test_l1_alone() -> None:
    total = TotalLoss(torch.tensor(0.5))
    assert total.total.item() == 0.5
    assert set(total.detached()) == {"pixel", "total"}


def test_a_term_of_weight_zero_is_shown_but_not_felt() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    total = TotalLoss(x**2, adversarial=x / 0.0, mu_task=0.0, task=x * 5)
    total.total.backward()
    assert x.grad is not None
    assert x.grad.item() == 4.0
    assert total.detached()["task"].item() == 10


def test_the_curves_hold_no_graph() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    assert not any(v.requires_grad for v in TotalLoss(x, task=x, mu_task=1.0).detached().values())


def test_a_weight_without_its_term_and_unreduced_terms_are_refused() -> None:
    with pytest.raises(ValueError, match="task has weight 0.5 but was not computed"):
        TotalLoss(torch.tensor(1.0), mu_task=0.5)
    with pytest.raises(ValueError, match="pixel has shape"):
        TotalLoss(torch.ones(3))
