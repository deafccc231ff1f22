import pytest
import torch

from taskgan.networks.discriminator import PatchClassifier
from taskgan.networks.recogniser import recogniser_network
from taskgan.recipe.task import Norm


def _patch(width: int = 4, norm: Norm = "none", dropout: float = 0.0, outputs: int = 6) -> PatchClassifier:
    torch.manual_seed(0)
    return PatchClassifier(in_channels=1, width=width, norm=norm, dropout=dropout, outputs=outputs)


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
def test_a_logit_for_each_class_and_the_features_of_every_layer(norm: Norm) -> None:
    logits, features = _patch(norm=norm)(torch.randn(2, 1, 96, 75))
    assert logits.shape == (2, 6)
    assert [tuple(f.shape[1:]) for f in features] == [(4, 48, 37), (8, 24, 18), (16, 12, 9), (32, 6, 4), (32, 5, 3)]


def test_the_name_in_a_recipe_is_this_network() -> None:
    assert isinstance(recogniser_network("patch", width=4, outputs=6), PatchClassifier)


def test_it_has_six_convolutions_of_pix2pix() -> None:
    convolutions = [m for m in _patch(width=64).modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512, 512, 6]
    assert {c.kernel_size for c in convolutions} == {(4, 4)}
    assert [c.stride[0] for c in convolutions] == [2, 2, 2, 2, 1, 1]


def test_a_patch_sees_142_pixels_and_no_more() -> None:
    network = _patch().eval()
    image = torch.zeros(1, 1, 400, 400, requires_grad=True)
    x = image
    for layer in network.layers:
        x = layer(x)
    network.head(x)[0, 0, 11, 11].backward()
    seen = image.grad[0, 0].abs().sum(dim=0).nonzero().flatten()  # type: ignore[index]
    assert int(seen[-1] - seen[0]) + 1 == 142


def test_the_logits_are_the_mean_over_patches_so_that_a_tiled_texture_reads_alike_at_any_size() -> None:
    network = _patch().eval()
    tile = torch.randn(1, 1, 16, 16)
    inner = []
    for count in (14, 18):
        x = tile.tile(1, 1, count, count)
        for layer in network.layers:
            x = layer(x)
        patches = network.head(x)
        torch.testing.assert_close(patches.mean(dim=(2, 3)), network(tile.tile(1, 1, count, count))[0])
        inner.append(patches[:, :, 5, 5])  # no border in sight
    torch.testing.assert_close(inner[0], inner[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (20, 90)])
def test_an_image_smaller_than_a_patch_is_read_as_if_it_lay_in_air(size: tuple[int, int]) -> None:
    network = _patch().eval()
    small = torch.randn(1, 1, *size)
    large = torch.zeros(1, 1, max(size[0], 48), max(size[1], 48))
    large[:, :, : size[0], : size[1]] = small
    torch.testing.assert_close(network(small)[0], network(large)[0])


def test_in_eval_mode_an_image_is_read_the_same_in_any_company() -> None:
    network = _patch(norm="batch", dropout=0.5).eval()
    images = torch.randn(5, 1, 64, 64)
    alone = torch.cat([network(image[None])[0] for image in images])
    torch.testing.assert_close(network(images)[0], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_every_weight_learns(norm: Norm) -> None:
    network = _patch(norm=norm)
    network(torch.randn(4, 1, 64, 64))[0].square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


def test_it_learns_textures_that_have_the_same_mean_and_variance() -> None:
    """Waves against noise: what tells them apart is local, as a contrast is."""
    network = _patch(norm="batch", outputs=2)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.randn(count, 1, 48, 48, generator=generator)
        phase = torch.rand(count, 1, 1, 1, generator=generator) * 6.28
        waves = (2**0.5) * torch.sin(torch.arange(48.0) + phase).expand(count, 1, 48, 48)
        label = torch.arange(count) % 2
        return torch.where(label[:, None, None, None] == 1, waves, noise), label

    for _ in range(25):
        images, label = draw(8)
        loss = torch.nn.functional.cross_entropy(network(images)[0], label)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    images, label = draw(32)
    assert (network.eval()(images)[0].argmax(dim=1) == label).all()
