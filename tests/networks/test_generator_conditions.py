"""A generator that is told which of several images is wanted."""

import itertools

import pytest
import torch
from torch import Tensor

from taskgan.model.engines import fold_batch_norms, to_bf16
from taskgan.networks.generator import UNet

K = 3


def network(conditioning: str, **changes: object) -> UNet:
    settings: dict[str, object] = {"width": 4, "max_width": 8, "depth": 3, "norm": "instance", "dropout": 0.0}
    torch.manual_seed(0)
    return UNet(in_channels=2 + K, conditions=K, conditioning=conditioning, **(settings | changes)).eval()  # type: ignore[arg-type]


def told(condition: int, images: Tensor) -> Tensor:
    planes = torch.zeros(len(images), K, *images.shape[2:])
    planes[:, condition] = 1
    return torch.cat([images, planes], dim=1)


def learn_a_little(net: UNet) -> None:
    """Weights of the modulation start at zero: give them some."""
    with torch.no_grad():
        for layer in itertools.chain(net.down_film, net.up_film):
            layer.weight.normal_(std=0.5)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 2, 13, 10, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("conditioning", ["planes", "film"])
def test_conditions_make_different_images_of_one_input(conditioning: str, images: Tensor) -> None:
    net = network(conditioning)
    if conditioning == "film":
        learn_a_little(net)
    with torch.no_grad():
        made = [net(told(k, images)) for k in range(K)]
    assert made[0].shape == (2, 1, 13, 10)
    for one, other in itertools.combinations(made, 2):
        assert (one - other).abs().max() > 1e-4


def test_film_starts_as_the_network_without_conditions(images: Tensor) -> None:
    net = network("film")
    torch.manual_seed(0)
    plain = UNet(in_channels=2, width=4, max_width=8, depth=3, norm="instance", dropout=0.0).eval()
    assert net.down[0][0].in_channels == 2
    with torch.no_grad():
        for k in range(K):
            torch.testing.assert_close(net(told(k, images)), plain(images), rtol=0, atol=0)


def test_planes_are_convolved_and_add_nothing_else() -> None:
    net = network("planes")
    assert net.down[0][0].in_channels == 2 + K
    assert not hasattr(net, "up_film")


def test_every_normalised_layer_is_modulated_and_learns(images: Tensor) -> None:
    net = network("film", depth=4)
    assert (len(net.down_film), len(net.up_film)) == (2, 4)
    learn_a_little(net)
    net(told(1, images)).sum().backward()
    for layer in itertools.chain(net.down_film, net.up_film):
        gradient = layer.weight.grad
        assert gradient is not None
        assert gradient[:, 1].abs().sum() > 0
        assert gradient[:, [0, 2]].abs().sum() == 0  # the others were not asked for


def test_modulation_is_read_exactly_whatever_the_size_and_the_batch(images: Tensor) -> None:
    net = network("film")
    learn_a_little(net)
    both = torch.cat([told(0, images), told(2, images)])
    with torch.no_grad():
        together = net(both)
        alone = torch.cat([net(told(0, images)), net(told(2, images))])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_folding_and_bfloat16_keep_the_modulation(images: Tensor) -> None:
    net = network("film", norm="batch")
    learn_a_little(net)
    net.train()
    with torch.no_grad():
        net(told(0, images))
    net.eval()
    fast = fold_batch_norms(net)
    with torch.no_grad():
        exact = net(told(1, images))
        torch.testing.assert_close(fast(told(1, images)), exact, rtol=1e-4, atol=1e-5)
        small = to_bf16(fast)(told(1, images))
    assert (small - exact).abs().max() < 0.1 * exact.abs().max() + 1e-3


def test_conditions_leave_room_for_an_image() -> None:
    with pytest.raises(ValueError, match="expected 0 to below the 3 input channels"):
        UNet(in_channels=3, conditions=3)
