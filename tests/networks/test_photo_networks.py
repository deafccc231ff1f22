import pytest
import torch
import torch.nn.functional as F

from taskgan.networks.photos import cropped


@pytest.mark.parametrize("size", [24, 48, 150])
def test_the_whole_of_a_square_is_what_torch_resizes(size: int) -> None:
    image = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(image, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    torch.testing.assert_close(cropped(image, None, size), expected, rtol=0, atol=1e-5)


def test_a_part_is_where_it_was_named() -> None:
    rows, columns = torch.meshgrid(torch.arange(80.0), torch.arange(120.0), indexing="ij")
    image = torch.stack([rows, columns])[None]
    part = cropped(image, (0.75, 0.5, 0.25), 20)  # 20 pixels around row 40, column 60
    torch.testing.assert_close(part[0, 0, :, 0], torch.arange(30.0, 50.0))
    torch.testing.assert_close(part[0, 1, 0], torch.arange(50.0, 70.0))
    middle = cropped(image, None, 80)
    torch.testing.assert_close(middle[0, 1, 0], torch.arange(20.0, 100.0))


def test_beyond_the_frame_the_edge_is_repeated() -> None:
    image = torch.zeros(1, 1, 10, 10)
    image[..., 0, :] = 3.0
    wide = cropped(image, (0.5, 0.5, 2.0), 20)
    assert (wide[0, 0, :5] == 3).all()
    assert (wide[0, 0, 7:] == 0).all()
