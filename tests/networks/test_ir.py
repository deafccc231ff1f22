import pytest
import torch
import torch.nn.functional as F
from torch import nn

from taskgan.networks.recogniser import recogniser_network
from taskgan.recipe.task import Norm


def test_the_published_layout() -> None:
    """Counted by hand, for an eighth of the published width and descriptor."""
    network = recogniser_network("ir", in_channels=3, width=8, outputs=64)

    def unit(before: int, after: int) -> int:
        convolutions = 9 * before * after + 9 * after * after + (before * after if before != after else 0)
        norms = 2 * before + 2 * after + 2 * after + (2 * after if before != after else 0)
        return convolutions + norms + after  # and PReLU

    wanted = 27 * 8 + 2 * 8 + 8
    for before, after in ((8, 8), (8, 16), (16, 32), (32, 64)):
        wanted += unit(before, after) + unit(after, after)
    wanted += 2 * 64 + 64 * 7 * 7 * 64 + 2 * 64
    assert sum(p.numel() for p in network.parameters()) == wanted


def test_a_unit_is_norm_conv_norm_prelu_conv_norm() -> None:
    torch.manual_seed(0)
    network = recogniser_network("ir", width=4, outputs=8).eval()
    unit = network.get_submodule("stages.1.0")
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 4, 9, 9)
    state = dict(unit.state_dict())

    def norm(y: torch.Tensor, key: str) -> torch.Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(y, *(state[f"{key}.{name}"] for name in names))

    y = F.conv2d(norm(x, "inner.0"), state["inner.1.weight"], padding=1)
    y = norm(y, "inner.2")
    y = torch.where(y > 0, y, y * state["inner.3.weight"][:, None, None])
    y = norm(F.conv2d(y, state["inner.4.weight"], stride=2, padding=1), "inner.5")
    y = y + norm(F.conv2d(x, state["shortcut.0.weight"], stride=2), "shortcut.1")
    torch.testing.assert_close(unit(x), y)


def test_without_more_channels_the_shortcut_only_drops_pixels() -> None:
    network = recogniser_network("ir", width=4, outputs=8)
    shortcut = network.get_submodule("stages.0.0.shortcut")
    x = torch.randn(1, 4, 10, 10)
    assert torch.equal(shortcut(x), x[..., ::2, ::2])
    assert not list(network.get_submodule("stages.0.1.shortcut").parameters())


def test_squeezing_weighs_channels_between_0_and_1() -> None:
    torch.manual_seed(0)
    squeeze = recogniser_network("ir_se", width=16, outputs=8).get_submodule("stages.0.0.inner.6")
    x = torch.randn(3, 16, 5, 5)
    share = squeeze(x) / x
    torch.testing.assert_close(share, share[..., :1, :1].expand_as(share))
    assert ((share > 0) & (share < 1)).all()
    assert share[0].std() > 0


def test_the_end_sees_where_features_are() -> None:
    """An average over the image would not tell an image from its mirror image in these maps."""
    torch.manual_seed(0)
    network = recogniser_network("ir", width=4, outputs=8).eval()
    features = torch.randn(1, 32, 7, 7)
    head = network.get_submodule("head")
    assert not torch.allclose(head(features), head(features.flip(3)), atol=1e-3)


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("name", ["ir", "ir_se"])
def test_every_norm_and_size_gives_descriptors_and_four_features(name: str, norm: Norm) -> None:
    network = recogniser_network(name, width=4, norm=norm, outputs=6)  # type: ignore[arg-type]
    for size in ((112, 112), (37, 48)):
        found, features = network(torch.randn(2, 1, *size))
        assert found.shape == (2, 6)
        assert found.std() > 0
        assert [f.shape[1] for f in features] == [4, 8, 16, 32]
        assert features[0].shape[2:] == tuple((side + 1) // 2 for side in size)
    found.square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
