import pytest
import torch

from taskgan.networks.recogniser import recogniser_network

DENSE = ["unet", "dilated"]


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("size", [(16, 16), (13, 22), (7, 9)])
def test_every_pixel_gets_an_answer_whatever_the_size(name: str, size: tuple[int, int]) -> None:
    network = recogniser_network(name, width=4, outputs=3)  # type: ignore[arg-type]
    logits, features = network(torch.randn(2, 1, *size))
    assert logits.shape == (2, 3, *size)
    assert len(features) >= 4
    heights = [f.shape[-2] for f in features]
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("name", DENSE)
def test_an_image_is_read_the_same_in_any_company(name: str) -> None:
    network = recogniser_network(name, width=4, outputs=2, dropout=0.5).eval()  # type: ignore[arg-type]
    images = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(network(images)[0][1:2], network(images[1:2])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DENSE)
def test_a_few_pixels_can_be_learnt(name: str) -> None:
    torch.manual_seed(0)
    network = recogniser_network(name, width=8, outputs=2)  # type: ignore[arg-type]
    images = torch.rand(8, 1, 16, 16)
    masks = (images[:, 0] > 0.8).long()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(images)[0], masks).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    found = network.eval()(images)[0].argmax(dim=1)
    assert (found == masks).float().mean() > 0.93  # all background would be right in four of five


def test_the_dilated_one_sees_67_pixels() -> None:
    network = recogniser_network("dilated", width=2, norm="none").eval()
    image = torch.zeros(1, 1, 99, 99, requires_grad=True)
    network(image)[0][0, 0, 49, 49].backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    seen = torch.nonzero(image.grad[0, 0].abs() > 0)
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [67, 67]
