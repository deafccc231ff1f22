import pytest
import torch

from taskgan.objective.total import WeightedSum


def test_eq_4_is_the_weighted_sum() -> None:
    names = ("pixel", "adversarial", "task", "task_features")
    weights = (1.0, 10.0, 100.0, 1000.0)
    terms = [(name, torch.tensor(float(k)), w) for k, (name, w) in enumerate(zip(names, weights, strict=True), 1)]
    total = WeightedSum(terms)
    assert total.total.item() == 4321
    assert {k: v.item() for k, v in total.detached().items()} == {
        "pixel": 1, "adversarial": 2, "task": 3, "task_features": 4, "total": 4321,
    }  # fmt: skip


def test_l1_alone() -> None:
    total = WeightedSum([("pixel", torch.tensor(0.5), 1.0)])
    assert total.total.item() == 0.5
    assert set(total.detached()) == {"pixel", "total"}


def test_a_term_of_weight_zero_is_shown_but_not_felt() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    total = WeightedSum([("pixel", x**2, 1.0), ("adversarial", x / 0.0, 0.0), ("task", x * 5, 0.0)])
    total.total.backward()
    assert x.grad is not None
    assert x.grad.item() == 4.0
    assert total.detached()["task"].item() == 10


def test_the_curves_hold_no_graph() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    assert not any(v.requires_grad for v in WeightedSum([("pixel", x, 1.0), ("task", x, 1.0)]).detached().values())


def test_a_weight_without_its_term_and_unreduced_terms_are_refused() -> None:
    with pytest.raises(ValueError, match="task has weight 0.5 but was not computed"):
        WeightedSum([("pixel", torch.tensor(1.0), 1.0), ("task", None, 0.5)])
    assert set(WeightedSum([("pixel", torch.tensor(1.0), 1.0), ("identity", None, 0.0)]).detached()) == {
        "pixel",
        "total",
    }
    with pytest.raises(ValueError, match="pixel has shape"):
        WeightedSum([("pixel", torch.ones(3), 1.0)])
