"""The U-Net and its normalisation layers: shapes, sizes, z, bounds, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.networks.generator import Output, UNet, generator_network
from taskgan.networks.layers import group_count, norm_layer
from taskgan.recipe import Recipe
from taskgan.recipe.task import Norm

NORMS: list[Norm] = ["batch", "instance", "group", "none"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def small(**settings: object) -> UNet:
    values = {"in_channels": 1, "width": 4, "max_width": 16, "depth": 4} | settings
    return UNet(**values)  # type: ignore[arg-type]


def settled(network: UNet) -> UNet:
    """In evaluation, after batches that gave the running statistics values of their own."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(4, network.in_channels, 32, 32))
    return network.eval()


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_paper_setting_has_the_layers_and_size_of_the_appendix() -> None:
    recipe = Recipe()
    with torch.device("meta"):
        network = generator_network(recipe.generator, recipe.data)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    *strided, last = convolutions
    assert [m.out_channels for m in strided[:8]] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [m.out_channels for m in strided[8:]] == [512, 512, 512, 512, 512, 256, 128, 64]
    assert all(m.kernel_size == (4, 4) and m.stride == (2, 2) for m in strided)
    assert last.stride == (1, 1)
    assert last.out_channels == 1
    norms = [isinstance(layer[1], torch.nn.BatchNorm2d) for layer in [*network.down, *network.up]]  # type: ignore[index]
    assert norms == [False, *[True] * 6, False, *[True] * 8]
    count = sum(p.numel() for p in network.parameters())
    assert 54e6 < count < 62e6
    assert network(torch.zeros(2, 1, 256, 256, device="meta")).shape == (2, 1, 256, 256)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    depth=st.integers(1, 7),
    norm=st.sampled_from(NORMS),
    residual=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_every_size_depth_and_norm_comes_back_in_its_size(
    height: int, width: int, depth: int, norm: Norm, residual: bool
) -> None:
    network = small(in_channels=2, depth=depth, norm=norm, residual=residual, output="real")
    x = torch.rand(2, 2, height, width)
    for mode in (True, False):
        restored = network.train(mode)(x)
        assert restored.shape == (2, 1, height, width)
        assert restored.isfinite().all()


@pytest.mark.parametrize("norm", NORMS)
def test_one_image_at_the_smallest_map_trains_every_weight(norm: Norm) -> None:
    network = small(norm=norm, depth=6, dropout=0.0, output="real").train()
    network(torch.rand(1, 1, 20, 20)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("norm", NORMS)
def test_evaluation_is_deterministic_and_independent_of_the_batch(norm: Norm) -> None:
    network = settled(small(norm=norm, residual=True))
    images = torch.rand(5, 1, 37, 30)
    with torch.no_grad():
        together = network(images)
        again = network(images)
        alone = torch.cat([network(one[None]) for one in images])
    assert torch.equal(together, again)
    assert (together - alone).abs().max() <= 1e-5 * images.max()


def test_z_changes_the_sample_and_belongs_to_its_image_alone() -> None:
    network = settled(small(output="real"))
    images = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        still = network(images)
        first = network(images, generators(1, 2, 3))
        same = network(images, generators(1, 2, 3))
        turned = network(images.flip(0), generators(3, 2, 1)).flip(0)
        other = network(images, generators(4, 5, 6))
    assert torch.equal(first, same)
    torch.testing.assert_close(first, turned, rtol=1e-5, atol=1e-6)
    assert (first - other).abs().mean() > 1e-4 * still.std()
    assert (first - still).abs().mean() > 1e-4 * still.std()


def test_z_in_evaluation_leaves_the_norms_alone() -> None:
    network = settled(small())
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        network(torch.rand(2, 1, 32, 32), generators(1, 2))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_z_keeps_the_expected_value_of_a_feature() -> None:
    network = small(dropout=0.4)
    features = torch.ones(1, 400, 20, 20)
    noisy = network._noise(features, generators(0))
    assert noisy.mean().item() == pytest.approx(1.0, abs=0.02)
    assert sorted(noisy.unique().tolist()) == pytest.approx([0.0, 1 / 0.6])


@pytest.mark.parametrize(("dropout", "layers"), [(0.0, 3), (0.5, 0)])
def test_without_dropout_there_is_no_z(dropout: float, layers: int) -> None:
    network = settled(small(dropout=dropout, dropout_layers=layers))
    images = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(images), network(images, generators(1, 2)))


def test_as_many_generators_as_images() -> None:
    with pytest.raises(ValueError, match="2 generators for 3 images"):
        small().eval()(torch.rand(3, 1, 16, 16), generators(1, 2))


@pytest.mark.parametrize(("output", "low", "high"), [("nonnegative", 0.0, torch.inf), ("unit", 0.0, 1.0)])
def test_bounds_hold_and_gradients_pass_them(output: Output, low: float, high: float) -> None:
    network = small(output=output)
    with torch.no_grad():
        network.last.weight.mul_(100)
    x = torch.rand(2, 1, 32, 32)
    restored = network(x)
    with torch.no_grad():
        network.output = "real"
        raw = network.eval()(x)
        network.output = output
        held = network(x)
    assert (raw < 0).any()
    assert torch.equal(held, raw.clamp(low, high))
    assert restored.min() >= low
    assert restored.max() <= high
    with torch.no_grad():
        network.last.weight.zero_()
        network.last.bias.fill_(-3.0)
    network.zero_grad()
    network(x).sum().backward()
    assert network.last.bias.grad is not None
    assert network.last.bias.grad.item() > 0, "a pixel held at its bound can still come back"


def test_gradients_do_not_change_the_value() -> None:
    network = settled(small(output="unit", residual=True))
    x = 2 * torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        value = network(x)
    assert torch.equal(network(x).detach(), value)


def test_residual_starts_near_the_degraded_channel() -> None:
    network = settled(small(in_channels=3, residual=True, output="real"))
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        change = network(x) - x[:, :1]
    assert 0 < change.abs().mean() < 0.5


@pytest.mark.parametrize("norm", NORMS)
def test_the_signal_keeps_its_size_at_the_start(norm: Norm) -> None:
    network = UNet(in_channels=1, width=16, max_width=64, depth=6, norm=norm, output="real").train()
    with torch.no_grad():
        restored = network(torch.randn(4, 1, 64, 64))
    assert 0.01 < restored.std() < 1


@pytest.mark.parametrize("norm", NORMS)
def test_few_steps_learn_to_denoise(norm: Norm) -> None:
    network = small(width=8, max_width=32, norm=norm, dropout=0.0)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")

    def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        radius = torch.rand(size, 1, 1, 1) * 0.5 + 0.3
        clean = (x.square() + y.square() < radius.square()).float()
        return (clean + 0.5 * torch.randn_like(clean)).clamp(min=0), clean

    for _ in range(60):
        noisy, clean = batch(8)
        loss = (network(noisy) - clean).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    noisy, clean = batch(16)
    with torch.no_grad():
        after = (network(noisy) - clean).abs().mean()
    assert after < 0.6 * (noisy - clean).abs().mean()


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"width": 0}, {"dropout": 1.0}, {"output": "tanh"}, {"norm": "layer"}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected|at least"):
        small(**wrong)


def test_the_same_seed_starts_alike() -> None:
    torch.manual_seed(3)
    one = small().state_dict()
    torch.manual_seed(3)
    two = small().state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("norm", NORMS)
def test_norms_neither_zero_nor_crash_on_one_pixel(norm: Norm) -> None:
    layer = norm_layer(norm, 16).train()
    features = 3 * torch.randn(1, 16, 1, 1)
    normed = layer(features)
    assert normed.shape == features.shape
    assert normed.abs().mean() > 0.1


def test_batch_norm_of_one_value_leaves_the_running_statistics() -> None:
    layer = norm_layer("batch", 4).train()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    layer(torch.randn(1, 4, 1, 1))
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())
    layer(torch.randn(2, 4, 1, 1))
    assert not torch.equal(layer.state_dict()["running_mean"], before["running_mean"])


@given(channels=st.integers(1, 600))
def test_groups_divide_and_keep_enough_channels(channels: int) -> None:
    groups = group_count(channels)
    assert channels % groups == 0
    assert groups <= 32
    assert groups == 1 or channels // groups >= 4
