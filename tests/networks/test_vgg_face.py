import pytest
import torch
import torch.nn.functional as F

from taskgan.cohort.slices import to_slices
from taskgan.networks.photos import VGG_MEAN, VggFace, VggFaceRecogniser, descriptor_length, layer_shapes


@pytest.fixture(scope="module")
def reader() -> VggFaceRecogniser:
    torch.manual_seed(0)
    return VggFaceRecogniser(width=2, outputs=128).eval()


def test_the_published_layout() -> None:
    # VGG-D with 2,622 classes: 134,260,544 weights up to fc7 and 4096 · 2622 + 2622 of fc8.
    with torch.device("meta"):
        network = VggFace()
    counts = {name: sum(p.numel() for p in layer.parameters()) for name, layer in network.named_children()}
    assert sum(counts.values()) == 134_260_544 + 10_742_334
    assert [name for name, count in counts.items() if count] == list(layer_shapes(64))
    assert {n: tuple(network.get_parameter(f"{n}.weight").shape) for n in layer_shapes(64)} == layer_shapes(64)
    assert layer_shapes(64)["fc6"] == (4096, 512 * 7 * 7)
    assert descriptor_length(64) == 4096


def test_it_is_vgg_written_out(reader: VggFaceRecogniser) -> None:
    """By torch's own functions, from a photo on 0 to 255."""
    photo = torch.randint(0, 256, (1, 3, 224, 224), generator=torch.Generator().manual_seed(0)).float()
    state = reader.network.state_dict()
    x = torch.stack([photo[:, k] - VGG_MEAN[k] for k in range(3)], dim=1)
    names = list(layer_shapes(2))
    for block in (names[:2], names[2:4], names[4:7], names[7:10], names[10:13]):
        for name in block:
            x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1).clamp_min(0)
        x = F.max_pool2d(x, 2, 2)
    for name in ("fc6", "fc7"):
        x = F.linear(x.reshape(1, -1), state[f"{name}.weight"], state[f"{name}.bias"]).clamp_min(0)
    descriptor, features = reader(photo.transpose(2, 3) / 255)
    torch.testing.assert_close(descriptor, x, rtol=1e-4, atol=1e-4)
    assert [tuple(f.shape[1:]) for f in features] == [
        (2, 224, 224), (4, 112, 112), (8, 56, 56), (16, 28, 28), (16, 14, 14)
    ]  # fmt: skip
    assert reader.network.scores(descriptor).shape == (1, 2622)


def test_red_comes_first_and_loses_reds_mean(reader: VggFaceRecogniser) -> None:
    red = torch.zeros(1, 3, 224, 224)
    red[:, 0] = 1
    seen = reader.prepare(red)[0, :, 100, 100]
    torch.testing.assert_close(seen, torch.tensor([255 - 129.1863, -104.7624, -93.5940]))


def test_a_photo_as_the_cohort_gives_it_is_seen_upright(reader: VggFaceRecogniser) -> None:
    """Columns are a volume's first axis: a slice is a photo on its side, which a face network must not see."""
    photo = torch.zeros(224, 224)  # rows, columns
    photo[30, 180] = 1  # high and to the right
    slices = to_slices(photo.T[:, :, None].numpy())
    seen = reader.prepare(torch.from_numpy(slices[:, None]))[0, 0] + VGG_MEAN[0]
    torch.testing.assert_close(seen, 255 * photo, rtol=0, atol=1e-4)
    tall = torch.rand(1, 1, 200, 300)  # 200 columns, 300 rows
    upright = reader.prepare(tall)[0, 0, 112]
    assert (
        upright.argmax()
        == F.interpolate(tall.transpose(2, 3), size=(336, 224), mode="bilinear", antialias=True)[
            0, 0, 112 + 56
        ].argmax()
    )


def test_grey_is_the_same_red_green_and_blue(reader: VggFaceRecogniser) -> None:
    grey = torch.rand(2, 1, 60, 60)
    torch.testing.assert_close(reader(grey)[0], reader(grey.repeat(1, 3, 1, 1))[0])
    assert reader(grey)[0].shape == (2, 128)


@pytest.mark.parametrize("size", [(224, 224), (250, 250), (64, 64), (96, 128), (300, 200)])
def test_any_size_is_seen_at_224_around_its_middle(reader: VggFaceRecogniser, size: tuple[int, int]) -> None:
    images = torch.full((1, 1, *size), 0.5)
    middle = images.clone()
    middle[..., size[0] // 2, size[1] // 2] = 1
    seen = reader.prepare(images)
    assert seen.shape == (1, 3, 224, 224)
    torch.testing.assert_close(seen[0, :, 7, 9], 127.5 - torch.tensor(VGG_MEAN))
    brightest = (reader.prepare(middle) - seen)[0, 0].flatten().argmax()
    assert abs(int(brightest) // 224 - 112) <= 3
    assert abs(int(brightest) % 224 - 112) <= 3


def test_reducing_does_not_lose_lines(reader: VggFaceRecogniser) -> None:
    """Every line of a photo twice the size weighs the same, which sampling every second one would not give."""
    sums = []
    for line in (200, 201, 202, 203):
        photo = torch.zeros(1, 1, 448, 448)
        photo[..., line, :] = 1
        sums.append((reader.prepare(photo)[0, 0] + VGG_MEAN[0]).sum())
    torch.testing.assert_close(torch.stack(sums), sums[0].expand(4), rtol=1e-3, atol=0)


def test_a_frozen_one_teaches_every_pixel(reader: VggFaceRecogniser) -> None:
    reader.requires_grad_(False)
    images = torch.rand(1, 1, 80, 80, requires_grad=True)
    reader(images)[0].square().sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).float().mean() > 0.99


def test_other_lengths_and_channels_are_refused(reader: VggFaceRecogniser) -> None:
    with pytest.raises(ValueError, match="gives 128, asked for 64"):
        VggFaceRecogniser(width=2, outputs=64)
    with pytest.raises(ValueError, match="2 channels"):
        VggFaceRecogniser(width=2, outputs=128, in_channels=2)
    with pytest.raises(ValueError, match=r"\(B, 1 or 3, H, W\)"):
        reader(torch.zeros(1, 2, 224, 224))
