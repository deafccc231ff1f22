"""What norms and up-sampling do to an image: its level, its zeros, a grid."""

import pytest
import torch
import torch.nn.functional as F

from taskgan.networks.generator import UNet, Upsample
from taskgan.recipe.task import Norm

WAYS: list[Upsample] = ["transposed", "nearest", "bilinear"]


def made(norm: Norm, upsample: Upsample = "transposed", **settings: object) -> UNet:
    torch.manual_seed(0)
    values = {"in_channels": 1, "width": 8, "max_width": 16, "depth": 3, "output": "real"} | settings
    return UNet(norm=norm, upsample=upsample, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("upsample", WAYS)
@pytest.mark.parametrize("norm", ["none", "batch", "group", "instance"])
def test_twice_the_image_is_twice_the_output_where_a_norm_keeps_the_level(norm: Norm, upsample: Upsample) -> None:
    """Biases start at zero. Instance and group norm make the same of both; batch norm keeps what its statistics are
    not made of: in evaluation all of it, and so does the input that ``residual`` adds, with any norm."""
    network, residual = made(norm, upsample).eval(), made(norm, upsample, residual=True).eval()
    image = 100 * torch.rand(1, 1, 32, 32)  # beside which the norms' epsilon is nothing
    with torch.no_grad():
        once, twice, added = network(image), network(2 * image), residual(2 * image)
    factor = 2.0 if norm in ("none", "batch") else 1.0
    torch.testing.assert_close(twice, factor * once, rtol=0.05, atol=0.1 * float(once.abs().max()))
    torch.testing.assert_close(added, twice + 2 * image)


def test_in_training_batch_norm_keeps_a_slices_level_beside_the_others_of_its_batch() -> None:
    network = made("batch", dropout=0.0).train()
    image, other = 100 * torch.rand(2, 1, 1, 32, 32)
    with torch.no_grad():
        apart = network(torch.cat([2 * image, other]))[0].std() / network(torch.cat([image, 2 * other]))[0].std()
        alike = network(torch.cat([2 * image, 2 * other])).std() / network(torch.cat([image, other])).std()
    assert float(apart) > 1.5
    assert float(alike) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("norm", ["none", "batch", "group", "instance"])
def test_what_is_zero_stays_zero(norm: Norm) -> None:
    with torch.no_grad():
        assert not made(norm).eval()(torch.zeros(1, 1, 32, 32)).any()


@pytest.mark.parametrize("upsample", WAYS)
@pytest.mark.parametrize("size", [(16, 16), (13, 7), (1, 1)])
def test_every_way_doubles_and_any_size_works(upsample: Upsample, size: tuple[int, int]) -> None:
    for conditioning in ("planes", "film"):
        network = made("instance", upsample, in_channels=3, conditions=2, conditioning=conditioning)
        image = torch.rand(2, 3, *size, requires_grad=True)
        restored = network(image)
        assert restored.shape == (2, 1, *size)
        restored.sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("upsample", WAYS)
def test_the_signal_keeps_its_size_through_the_decoder(upsample: Upsample) -> None:
    network = made("none", upsample, width=32, max_width=64, depth=5).eval()
    outputs: list[float] = []
    for layer in [*network.down, *network.up]:
        layer.register_forward_hook(lambda _m, _i, out: outputs.append(float(out.std())))
    with torch.no_grad():
        network(torch.randn(2, 1, 64, 64))
    assert min(outputs) > 0.2
    assert max(outputs) < 4


def test_only_transposed_convolutions_print_a_grid_into_a_flat_image() -> None:
    """Inside a flat map all outputs of an interpolation see the same; of a transposed convolution each fourth."""
    for upsample in WAYS:
        layer = made("none", upsample).up[-1]
        with torch.no_grad():
            inside = layer(torch.ones(1, layer[0].in_channels, 16, 16))[..., 4:-4, 4:-4]  # type: ignore[index, arg-type]
        spread = float((inside - inside.mean(dim=(2, 3), keepdim=True)).abs().max() / inside.abs().max())
        assert (spread > 0.1) == (upsample == "transposed"), (upsample, spread)


@pytest.mark.parametrize("size", [(1, 1), (5, 8)])
def test_nearest_is_a_convolution_of_doubled_pixels(size: tuple[int, int]) -> None:
    layer = made("none", "nearest").up[-1][0]  # type: ignore[index]
    x = torch.randn(2, layer.in_channels, *size)  # type: ignore[arg-type]
    expected = F.conv2d(F.interpolate(x, scale_factor=2), layer.weight, layer.bias, padding=1)  # type: ignore[arg-type]
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)  # type: ignore[operator]
