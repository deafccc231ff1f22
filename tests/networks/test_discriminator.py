import pytest
import torch

from taskgan.networks.discriminator import ImageDiscriminator
from taskgan.recipe.task import Norm

NORMS: list[Norm] = ["batch", "instance", "group", "none"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (96, 64)])
def test_one_logit_an_image_and_every_layer_halves_the_size(norm: Norm, size: tuple[int, int]) -> None:
    network = ImageDiscriminator(in_channels=2, widths=(4, 8, 16), norm=norm)
    logit, features = network(torch.randn(3, 2, *size))
    assert logit.shape == (3,)
    assert [f.shape[1] for f in features] == [4, 8, 16]
    assert [f.shape[2:] for f in features] == [tuple(n // 2**k for n in size) for k in (1, 2, 3)]


def test_the_paper_has_six_layers_and_no_norm_on_the_first() -> None:
    network = ImageDiscriminator(in_channels=1)
    convs = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convs] == [64, 128, 256, 512, 512, 512]
    assert {(c.kernel_size, c.stride) for c in convs} == {((4, 4), (2, 2))}
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()) == 5
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.layers[0].modules())


def test_a_single_image_of_the_least_size_can_be_trained_on() -> None:
    network = ImageDiscriminator(in_channels=1, widths=(4, 4, 4), norm="batch")
    logit, _ = network(torch.randn(1, 1, 8, 8))
    logit.sum().backward()
    assert torch.isfinite(logit).all()


def test_too_small_an_image_is_named_with_the_least_size() -> None:
    network = ImageDiscriminator(in_channels=1, widths=(2,) * 6, norm="none")
    with pytest.raises(ValueError, match=r"32×32.*6 stride-2.*64×64"):
        network(torch.randn(1, 1, 32, 32))


def test_wrong_channels_are_named() -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 2, H, W\)"):
        ImageDiscriminator(in_channels=2, widths=(2,))(torch.randn(1, 1, 8, 8))


@pytest.mark.parametrize("arguments", [{"in_channels": 0}, {"in_channels": 1, "widths": ()}])
def test_impossible_sizes_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ImageDiscriminator(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", NORMS)
def test_features_start_at_the_scale_of_the_images(norm: Norm) -> None:
    torch.manual_seed(0)
    _, features = ImageDiscriminator(in_channels=1, widths=(16, 32, 32, 32), norm=norm)(torch.randn(8, 1, 64, 64))
    for layer in features:
        assert 0.2 < layer.square().mean().sqrt() < 5.0


def test_it_learns_to_tell_smooth_from_rough() -> None:
    torch.manual_seed(0)
    network = ImageDiscriminator(in_channels=1, widths=(8, 8), norm="group")
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(40):
        rough = torch.randn(8, 1, 16, 16)
        smooth = torch.nn.functional.avg_pool2d(rough, 5, 1, 2) * 5
        difference = network(smooth)[0] - network(rough)[0]
        torch.nn.functional.softplus(-difference).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert difference.min() > 0
