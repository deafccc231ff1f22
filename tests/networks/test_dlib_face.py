import pytest
import torch
import torch.nn.functional as F

from dlib_files import random_network
from taskgan.networks.photos import DLIB_MEAN, DlibFace, DlibFaceRecogniser, scaled_layers


def test_the_published_layout() -> None:
    """5.6 million weights in 29 layers; every convolution has a bias, a gain and a shift."""
    with torch.device("meta"):
        network = DlibFace()
    assert sum(p.numel() for p in network.parameters()) == 5_614_592
    assert len(scaled_layers(network)) == 29
    assert network.head.weight.shape == (128, 256)
    with pytest.raises(ValueError, match="even width"):
        DlibFace(width=3)


def test_it_is_dlib_written_out() -> None:
    """By torch's own functions and plain indexing, on a photo of 0 to 255."""
    network = random_network()
    reader = DlibFaceRecogniser(width=2, outputs=4).eval()
    reader.network = network
    photo = torch.randint(0, 256, (2, 3, 150, 150), generator=torch.Generator().manual_seed(0)).float()
    x = torch.stack([(photo[:, k] - DLIB_MEAN[k]) / 256 for k in range(3)], dim=1)
    layers = iter(scaled_layers(network).values())

    def scaled(x: torch.Tensor, *, stride: int = 1) -> torch.Tensor:
        layer = next(layers)
        out = F.conv2d(x, layer.conv.weight, layer.conv.bias, stride=stride, padding=1 if stride == 1 else 0)
        return out * layer.gain.view(1, -1, 1, 1) + layer.shift.view(1, -1, 1, 1)

    x = F.max_pool2d(scaled(x, stride=2).relu(), 3, 2)
    sides = [x.shape[-1]]
    for stage, blocks in enumerate((3, 4, 3, 3, 1)):
        for block in range(blocks):
            down = stage > 0 and block == 0
            inner = scaled(scaled(x, stride=2 if down else 1).relu())
            if down:
                x = F.avg_pool2d(x, 2)
                room = torch.zeros(2, *(max(a, b) for a, b in zip(inner.shape[1:], x.shape[1:], strict=True)))
                room[:, : x.shape[1], : x.shape[2], : x.shape[3]] += x
                room[:, : inner.shape[1], : inner.shape[2], : inner.shape[3]] += inner
                x = room.relu()
            else:
                x = (inner + x).relu()
        sides.append(x.shape[-1])
    assert sides == [35, 35, 17, 8, 4, 2]
    expected = x.mean(dim=(2, 3)) @ network.head.weight.T
    descriptor, features = reader(photo.transpose(2, 3) / 255)
    torch.testing.assert_close(descriptor, expected, rtol=1e-4, atol=1e-5)
    assert [f.shape[-1] for f in features] == sides


def test_a_gradient_reaches_the_part_that_is_seen_and_nothing_else() -> None:
    reader = DlibFaceRecogniser(width=2, outputs=4).eval()
    reader.crop = (0.5, 0.6, 0.4)
    reader.network = random_network()
    image = torch.rand(1, 1, 100, 100, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (through,) = torch.autograd.grad(reader(image)[0].square().sum(), image)
    (shown,) = torch.autograd.grad(reader.prepare(image).sum(), image)
    assert through.abs().sum() > 0
    assert (through[shown == 0] == 0).all()
    columns, rows = (shown[0, 0].sum(dim=d).nonzero() for d in (1, 0))
    # The first axis runs from left to right; between two pixels, both are seen.
    assert (int(columns.min()), int(columns.max())) == (29, 70)
    assert (int(rows.min()), int(rows.max())) == (39, 80)


def test_another_length_or_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="of width 2 gives 4, asked for 128"):
        DlibFaceRecogniser(width=2, outputs=128)
    with pytest.raises(ValueError, match="grey or colour"):
        DlibFaceRecogniser(width=2, outputs=4, in_channels=2)
