import math

import pytest
import torch
from torch import Tensor

from taskgan.networks.discriminator import ImageDiscriminator
from taskgan.objective.total import Form, discriminator_loss, feature_matching, generator_loss

FORMS: list[Form] = ["bce", "hinge", "least_squares"]


def _features(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape) for shape in shapes]


def test_equal_features_have_no_distance_and_batch_order_does_not_matter() -> None:
    features = _features((4, 2, 8, 8), (4, 3, 4, 4))
    assert feature_matching(features, features).item() == 0
    torch.testing.assert_close(feature_matching([f.flip(0) for f in features], features), torch.tensor(0.0))


def test_it_compares_batch_means_not_samples() -> None:
    clean = torch.randn(2, 3, 4, 4)
    wobble = torch.randn(1, 3, 4, 4)
    apart = clean + torch.cat([wobble, -wobble])
    assert feature_matching([apart], [clean]).item() < 1e-10
    one_by_one = [feature_matching([apart[k : k + 1]], [clean[k : k + 1]]) for k in range(2)]
    torch.testing.assert_close(one_by_one[0], wobble.square().mean())


def test_scale_does_not_depend_on_size_width_or_number_of_layers() -> None:
    small, large = torch.zeros(2, 3, 4, 4), torch.zeros(2, 30, 16, 16)
    near = feature_matching([small + 2, small + 2], [small, small])
    far = feature_matching([large + 2] * 5, [large] * 5)
    assert near.item() == far.item() == 4.0


def test_default_layers_are_all_but_the_first() -> None:
    clean = _features((2, 2, 4, 4), (2, 2, 4, 4), (2, 2, 4, 4))
    first_differs = [clean[0] + 5, *clean[1:]]
    assert feature_matching(first_differs, clean).item() == 0
    assert feature_matching(first_differs, clean, layers=[0]).item() == pytest.approx(25.0, rel=1e-5)
    assert feature_matching([clean[0] + 5], [clean[0]]).item() == pytest.approx(25.0, rel=1e-5)


@pytest.mark.parametrize("layers", [[3], [-1], []])
def test_layers_that_do_not_exist_are_refused(layers: list[int]) -> None:
    features = _features((1, 1, 2, 2), (1, 1, 2, 2), (1, 1, 2, 2))
    with pytest.raises(ValueError, match="layers 0 to 2"):
        feature_matching(features, features, layers=layers)


def test_sides_with_different_numbers_of_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the same"):
        feature_matching(_features((1, 1, 2, 2)), [])


def test_g_step_reaches_g_but_not_d() -> None:
    network = ImageDiscriminator(in_channels=1, widths=(4, 8), norm="batch")
    restored = torch.randn(4, 1, 16, 16, requires_grad=True)
    clean = torch.randn(4, 1, 16, 16, requires_grad=True)
    loss = feature_matching(network(restored)[1], network(clean)[1])
    torch.autograd.backward(loss, inputs=[restored])
    assert restored.grad is not None
    assert restored.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())


def test_the_clean_side_gets_no_gradient() -> None:
    network = ImageDiscriminator(in_channels=1, widths=(4, 8), norm="batch")
    restored = torch.randn(4, 1, 16, 16, requires_grad=True)
    clean = torch.randn(4, 1, 16, 16, requires_grad=True)
    torch.autograd.backward(feature_matching(network(restored)[1], network(clean)[1]))
    assert restored.grad is not None
    assert clean.grad is None


@pytest.mark.parametrize("form", FORMS)
def test_d_is_better_off_when_it_is_right(form: Form) -> None:
    right = torch.linspace(0, 1, 5)  # towards 1 for clean and 0 for restored, the targets of all three
    loss = discriminator_loss(right, 1 - right, form)
    assert loss.tolist() == sorted(loss.tolist(), reverse=True)
    assert loss.shape == (5,)


def test_a_d_that_knows_nothing_has_the_known_loss() -> None:
    nothing = torch.zeros(1)
    assert discriminator_loss(nothing, nothing, "bce").item() == pytest.approx(math.log(2))
    assert discriminator_loss(nothing, nothing, "hinge").item() == pytest.approx(1.0)
    assert discriminator_loss(nothing + 0.5, nothing + 0.5, "least_squares").item() == pytest.approx(0.25)


def test_hinge_is_content_beyond_its_margin() -> None:
    assert discriminator_loss(torch.tensor([1.5]), torch.tensor([-1.5]), "hinge").item() == 0


def test_label_smoothing_is_one_sided_and_stops_d_from_being_too_sure() -> None:
    sure = torch.tensor([8.0])
    assert discriminator_loss(sure, -sure, "bce", 0.1) > discriminator_loss(sure, -sure, "bce")
    logit = torch.tensor([math.log(9.0)], requires_grad=True)  # sigmoid 0.9
    discriminator_loss(logit, torch.zeros(1), "bce", 0.1).sum().backward()
    assert logit.grad is not None
    assert abs(logit.grad.item()) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_extreme_logits_stay_finite(form: Form) -> None:
    extreme = torch.tensor([1e4, -1e4])
    assert torch.isfinite(discriminator_loss(extreme, extreme, form)).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_generator_is_better_off_when_d_is_wrong(form: Form) -> None:
    logit = torch.linspace(-3, 1, 9, requires_grad=True)  # up to the target of least squares
    loss = generator_loss(logit, form)
    assert loss.shape == (9,)
    assert loss.tolist() == sorted(loss.tolist(), reverse=True)
    (gradient,) = torch.autograd.grad(loss.sum(), logit)
    assert gradient[0] <= gradient[-2] < 0  # and learns no less where D is surer of a fake


def test_a_generator_that_d_knows_nothing_of_has_the_known_loss() -> None:
    nothing = torch.zeros(1)
    assert generator_loss(nothing, "bce").item() == pytest.approx(math.log(2))
    assert generator_loss(nothing, "hinge").item() == 0
    assert generator_loss(nothing + 0.5, "least_squares").item() == pytest.approx(0.25)


@pytest.mark.parametrize("form", FORMS)
def test_generator_and_d_want_opposite_things_of_a_generated_image(form: Form) -> None:
    logit = torch.tensor([0.3], requires_grad=True)
    (ours,) = torch.autograd.grad(generator_loss(logit, form).sum(), logit)
    (theirs,) = torch.autograd.grad(discriminator_loss(torch.ones(1), logit, form).sum(), logit)
    assert ours < 0 < theirs
    assert torch.isfinite(generator_loss(torch.tensor([1e4, -1e4]), form)).all()


def test_unknown_forms_and_mixed_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="wasserstein"):
        discriminator_loss(torch.zeros(1), torch.zeros(1), "wasserstein")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wasserstein"):
        generator_loss(torch.zeros(1), "wasserstein")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="differ"):
        discriminator_loss(torch.zeros(2), torch.zeros(1))
