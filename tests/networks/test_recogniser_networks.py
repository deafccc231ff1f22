from importlib import import_module

import pytest
import torch

from taskgan.networks.recogniser import recogniser_network
from taskgan.recipe.task import NETWORKS, Norm

NAMES: list[str] = ["resnet18", "resnet10", "convnet"]


def _weights(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_and_features_of_every_stage(name: str, norm: Norm) -> None:
    network = recogniser_network(name, in_channels=2, width=4, norm=norm, outputs=3)
    logits, features = network(torch.randn(2, 2, 48, 37))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()
    sizes = [f.shape[2] * f.shape[3] for f in features]
    assert sizes == sorted(sizes, reverse=True)
    assert [f.shape[1] for f in features][-4:] == [4, 8, 16, 32]


def test_resnet18_has_the_published_number_of_weights() -> None:
    # He et al.: 11,689,512 with an RGB stem and 1000 classes.
    published = recogniser_network("resnet18", in_channels=3, width=64, outputs=1000)
    assert _weights(published) == 11_689_512


@pytest.mark.parametrize("name", NAMES)
def test_any_size_down_to_one_pixel(name: str) -> None:
    network = recogniser_network(name, width=2).eval()
    assert network(torch.randn(1, 1, 1, 1))[0].shape == (1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_in_eval_mode_an_image_is_read_the_same_in_any_company(name: str) -> None:
    torch.manual_seed(0)
    network = recogniser_network(name, width=4, dropout=0.5).eval()
    images = torch.randn(5, 1, 32, 32)
    alone = torch.cat([network(image[None])[0] for image in images])
    torch.testing.assert_close(network(images)[0], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name: str) -> None:
    network = recogniser_network(name, width=4)
    network(torch.randn(4, 1, 32, 32))[0].square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


def test_the_judge_shares_no_tensor_shape_of_a_convolution_with_the_resnet() -> None:
    def kernels(name: str) -> set[tuple[int, ...]]:
        network = recogniser_network(name, width=8)
        return {tuple(m.weight.shape) for m in network.modules() if isinstance(m, torch.nn.Conv2d)}

    assert not kernels("convnet") & kernels("resnet18")


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="resnet50"):
        recogniser_network("resnet50")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive"):
        recogniser_network("resnet18", width=0)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_builder_of_every_network_is_there(name: str) -> None:
    module, _, builder = NETWORKS[name].builder.partition(":")
    assert callable(getattr(import_module(f"taskgan.networks.{module}"), builder))
