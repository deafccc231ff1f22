"""The heads that T learns identities under, held against the published formulas."""

import math

import pytest
import torch
from torch import Tensor

from taskgan.objective.kinds import task_kind
from taskgan.objective.kinds.embedding import MarginHead
from taskgan.recipe import Target


def _head(margin: float, form: str, scale: float = 16.0, identities: int = 5, size: int = 4) -> MarginHead:
    torch.manual_seed(0)
    return MarginHead(size, identities, margin, form, scale).double()  # type: ignore[arg-type]


def _written_out(head: MarginHead, output: Tensor, label: Tensor, angular: bool) -> Tensor:
    """−log of the softmax, class by class, from the angles themselves."""
    losses = []
    for descriptor, own in zip(output, label.long(), strict=True):
        scores = []
        for number, centre in enumerate(head.centres):
            angle = torch.acos(descriptor @ centre / descriptor.norm() / centre.norm())
            score = torch.cos(angle)
            if number == int(own):
                score = torch.cos(angle + head.margin) if angular else score - head.margin
            scores.append((head.scale * score).exp())
        losses.append(-torch.log(scores[int(own)] / torch.stack(scores).sum()))
    return torch.stack(losses)


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("form", ["cosine", "angular"])
def test_it_is_the_published_formula(form: str, margin: float) -> None:
    head = _head(margin, form, scale=8.0)
    label = torch.tensor([0.0, 1, 2, 3, 4, 0])
    # Near enough to their own centre that θ + m stays below π.
    output = head.centres[label.long()].detach() + 0.3 * torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(head(output, label), _written_out(head, output, label, form == "angular"))


def test_the_angle_may_be_wrong_by_any_amount_and_worse_always_costs_more() -> None:
    head = MarginHead(2, 2, 0.5, "angular", 4.0).double()
    head.centres.data = torch.tensor([[1.0, 0], [0, 1e-9]], dtype=torch.float64)
    head.centres.data[1] = torch.tensor([0.0, 1.0])
    angles = -torch.linspace(0.0, math.pi, 400, dtype=torch.float64)  # away from the other centre and around
    output = torch.stack([angles.cos(), angles.sin()], dim=1)
    own = torch.zeros(400)
    other = head.scale * output[:, 1]
    held = other - torch.log(torch.expm1(head(output, own)))  # the score that the right class was given
    assert (held.diff() < 0).all()
    before, beyond = held[angles > -(math.pi - 0.5)], held[angles < -(math.pi - 0.5)]
    torch.testing.assert_close(before, 4 * torch.cos(-angles[: len(before)] + 0.5), rtol=0, atol=1e-6)
    torch.testing.assert_close(beyond, 4 * (torch.cos(angles[-len(beyond) :]) - 0.5 * math.sin(0.5)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", ["cosine", "angular"])
def test_gradients_are_finite_where_a_descriptor_is_its_centre_or_opposite(form: str) -> None:
    head = _head(0.5, form)
    output = torch.cat([head.centres[:1], -head.centres[:1]]).detach().requires_grad_()
    head(output, torch.zeros(2)).sum().backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert head.centres.grad is not None
    assert torch.isfinite(head.centres.grad).all()


def test_the_recipe_chooses_form_margin_and_scale() -> None:
    target = Target(kind="embedding", labels=("subject",), size=4, margin=0.5, margin_form="angular", margin_scale=30)
    head = task_kind(target, "proper").pretraining_head(7)
    assert isinstance(head, MarginHead)
    assert (head.margin, head.form, head.scale, tuple(head.centres.shape)) == (0.5, "angular", 30, (7, 4))
    plain = task_kind(Target(kind="embedding", labels=("subject",), size=4), "proper").pretraining_head(7)
    assert isinstance(plain, MarginHead)
    assert (plain.margin, plain.form, plain.scale) == (0.2, "cosine", 16)


def test_an_angular_margin_pulls_descriptors_closer_than_none() -> None:
    """Four people on a sphere: what each head is content with after the same steps."""

    def spread(margin: float) -> float:
        torch.manual_seed(0)
        output = torch.nn.Parameter(torch.randn(40, 3))
        label = torch.arange(40) % 4
        head = MarginHead(3, 4, margin, "angular", 8.0)
        optimiser = torch.optim.Adam([output, *head.parameters()], lr=0.02)
        for _ in range(100):
            optimiser.zero_grad()
            head(output, label).mean().backward()
            optimiser.step()
        unit = torch.nn.functional.normalize(output.detach(), dim=1)
        return float(torch.stack([torch.pdist(unit[label == k]).mean() for k in range(4)]).mean())

    assert spread(0.5) < 0.85 * spread(0.0)
