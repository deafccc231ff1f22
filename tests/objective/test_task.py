import pytest
import torch

from taskgan.networks.recogniser import recogniser_network
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind, feature_distance, task_loss
from taskgan.recipe.task import LossForm, Target

FORMS: list[LossForm] = ["squared", "proper"]


def binary(form: LossForm = "squared") -> TaskKind:
    return task_kind(Target(), form)


@pytest.mark.parametrize("form", FORMS)
def test_nearer_to_the_label_costs_less(form: LossForm) -> None:
    kind = binary(form)
    logits = torch.tensor([[-3.0], [-1.0], [0.0], [1.0], [3.0]])
    positive = kind.loss(logits, torch.ones(5)).tolist()
    negative = kind.loss(logits, torch.zeros(5)).tolist()
    assert positive == sorted(positive, reverse=True)
    assert negative == sorted(negative)
    torch.testing.assert_close(torch.tensor(positive), torch.tensor(negative[::-1]))


def test_squared_is_eq_3_on_the_probability() -> None:
    logits, label = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 0.0])
    torch.testing.assert_close(binary("squared").loss(logits, label), (logits.sigmoid() - label) ** 2)


def test_squared_is_bounded_and_the_proper_loss_keeps_its_gradient_where_t_is_sure_and_wrong() -> None:
    gradients = {}
    for form in FORMS:
        logit = torch.tensor([-12.0], requires_grad=True)
        loss = binary(form).loss(logit, torch.ones(1))
        loss.sum().backward()
        assert logit.grad is not None
        gradients[form] = abs(logit.grad.item())
        assert form == "proper" or loss.item() <= 1
    assert gradients["squared"] < 1e-4 < 0.9 < gradients["proper"]


def test_prediction_error_and_decision_agree() -> None:
    kind = binary()
    prediction = kind.prediction(torch.tensor([[2.0], [-2.0]]))
    assert kind.decision(prediction).tolist() == [1, 0]
    torch.testing.assert_close(kind.error(prediction, torch.tensor([1, 1])), 1 - prediction)
    assert kind.outputs == 1


def test_unknown_kinds_forms_and_missing_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="mood"):
        task_kind(Target().model_copy(update={"kind": "mood"}), "squared")
    with pytest.raises(ValueError, match="hinge"):
        binary("hinge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="labels"):
        binary().loss(torch.zeros(3, 1), torch.zeros(2))
    with pytest.raises(ValueError, match="differ"):
        task_loss(binary(), torch.zeros(3, 1), torch.zeros(2, 1), torch.zeros(3))


def test_both_terms_of_eq_3() -> None:
    restored, clean, label = torch.randn(4, 1), torch.randn(4, 1), torch.tensor([0.0, 1, 1, 0])
    kind = binary()
    both = task_loss(kind, restored, clean, label)
    torch.testing.assert_close(both, kind.loss(restored, label) + kind.loss(clean, label))
    assert both.shape == (4,)
    torch.testing.assert_close(task_loss(kind, restored, None, label), kind.loss(restored, label))


@pytest.mark.parametrize("joint", [True, False])
def test_who_learns_by_which_term(joint: bool) -> None:
    torch.manual_seed(0)
    network = recogniser_network("resnet10", width=2, norm="group").requires_grad_(joint)
    degraded, clean, label = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 16, 16), torch.tensor([0.0, 1.0])

    def gradients(with_clean: bool) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        gain = torch.ones(1, requires_grad=True)  # stands for G's weights
        network.zero_grad(set_to_none=True)
        answer = network(clean)[0] if with_clean else None
        torch.autograd.backward(task_loss(binary(), network(gain * degraded)[0], answer, label).mean())
        assert gain.grad is not None
        return gain.grad, [p.grad for p in network.parameters()]

    (both, by_both), (alone, by_alone) = gradients(True), gradients(False)
    assert alone.abs() > 0
    torch.testing.assert_close(both, alone)  # T(x) has nothing to say to G
    assert all((g is not None) == joint for g in by_both)
    if joint:
        assert any(
            not torch.allclose(a, b) for a, b in zip(by_both, by_alone, strict=True) if a is not None and b is not None
        )


def test_feature_distance_is_relative_per_case_and_moves_only_the_restored_side() -> None:
    clean = [torch.randn(3, 2, 8, 8, requires_grad=True), torch.randn(3, 4, 4, 4)]
    assert feature_distance(clean, clean).tolist() == [0.0, 0.0, 0.0]
    nothing = [torch.zeros_like(f) for f in clean]
    torch.testing.assert_close(feature_distance(nothing, clean), torch.ones(3))
    shrunk = feature_distance([0.01 * f for f in nothing], [0.01 * f for f in clean])
    torch.testing.assert_close(shrunk, torch.ones(3))
    restored = [(0.5 * f.detach()).requires_grad_() for f in clean]
    feature_distance(restored, clean).sum().backward()
    assert all(f.grad is not None for f in restored)
    assert clean[0].grad is None


def test_feature_distance_survives_dead_features() -> None:
    assert torch.isfinite(feature_distance([torch.ones(1, 1, 2, 2)], [torch.zeros(1, 1, 2, 2)])).all()
    with pytest.raises(ValueError, match="expected the same"):
        feature_distance([], [])
