import pytest
import torch
import torch.nn.functional as F

from taskgan.networks.gradients import FEATURES, Discriminant, OrientedGradients
from taskgan.networks.recogniser import PreparedNetwork, recogniser_network


def _images(count: int = 2, size: int = 64) -> torch.Tensor:
    noise = torch.rand(count, 1, size // 4, size // 4, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=size, mode="bicubic").clamp(0, 1)


def test_an_edge_is_found_where_it_is_in_the_direction_that_it_has() -> None:
    image = torch.zeros(1, 1, 128, 128)
    image[:, :, 68:] = 1.0  # brighter downwards, in the ninth row of cells
    _, (fine, coarse) = OrientedGradients()(image)
    for cells in (fine, coarse):
        assert cells.shape == (1, 8, 16, 16)
        assert int(cells.mean(dim=(2, 3)).argmax()) == 0
        assert set(cells[0, 0].mean(dim=1).topk(1).indices.tolist()) == {8}
        assert cells[0, 4].max() < 0.1  # the opposite direction
    turned = OrientedGradients()(image.transpose(2, 3))[1][0]
    assert int(turned.mean(dim=(2, 3)).argmax()) == 2


def test_light_and_contrast_make_little_difference() -> None:
    images = _images()
    one, other = (OrientedGradients()(x)[0] for x in (images, 0.2 + 0.6 * images))
    far = OrientedGradients()(_images(4)[2:])[0]
    assert torch.linalg.vector_norm(one - other) < 0.2 * torch.linalg.vector_norm(one - far)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (100, 81), (128, 128)])
def test_any_size_has_as_many_features_and_every_pixel_a_gradient(size: tuple[int, int]) -> None:
    x = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1), requires_grad=True)
    found, features = recogniser_network("gradients", outputs=FEATURES)(x)
    assert found.shape == (2, FEATURES)
    assert [f.shape[1:] for f in features] == [(8, 16, 16)] * 2
    (slope,) = torch.autograd.grad(found.square().sum(), x)
    assert torch.isfinite(slope).all()
    assert (slope != 0).float().mean() > 0.95
    flat = torch.full((1, 1, *size), 0.5, requires_grad=True)
    (slope,) = torch.autograd.grad(OrientedGradients()(flat)[0].sum(), flat)
    assert torch.isfinite(slope).all()


def test_an_image_is_described_the_same_in_any_company() -> None:
    images = _images(3)
    together = OrientedGradients()(images)[0]
    torch.testing.assert_close(together[1:2], OrientedGradients()(images[1:2])[0])


def test_another_length_than_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="4096 numbers, asked for 64"):
        recogniser_network("gradients", outputs=64)


def test_images_are_averaged_and_standardised_before_the_first_layer() -> None:
    seen: list[torch.Tensor] = []

    class Seen(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
            seen.append(x)
            return x, []

    images = _images() + 3
    PreparedNetwork(Seen(), reduce=2)(images)
    torch.testing.assert_close(seen[0], F.avg_pool2d(images, 2))
    PreparedNetwork(Seen(), reduce=4)(torch.ones(1, 1, 10, 9))
    assert seen[1].shape == (1, 1, 3, 3)
    assert torch.equal(seen[1], torch.ones(1, 1, 3, 3))
    PreparedNetwork(Seen(), standardise=True)(images)
    torch.testing.assert_close(seen[2].mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    wanted = images.std(dim=(1, 2, 3), correction=0)
    torch.testing.assert_close(seen[2].std(dim=(1, 2, 3), correction=0), wanted / (wanted + 0.05))
    PreparedNetwork(Seen(), standardise=True)(torch.ones(1, 1, 4, 4))
    assert not seen[3].any()


def test_a_discriminant_passes_on_what_it_gets_before_it_is_fitted() -> None:
    network = recogniser_network("convnet", width=4, outputs=6).eval()
    images = _images()
    with_layer = Discriminant(network, 6, 4)
    torch.testing.assert_close(with_layer(images)[0], network(images)[0][:, :4])
    with pytest.raises(ValueError, match="asked for 7"):
        Discriminant(network, 6, 7)
