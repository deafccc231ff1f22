import pytest
import torch

from taskgan.networks.generator import generator_network
from taskgan.networks.layers import Conv3d
from taskgan.networks.volume_unet import VolumeUNet
from taskgan.recipe import Data, Generator


def network(**settings: object) -> VolumeUNet:
    """With weights that do something everywhere."""
    torch.manual_seed(0)
    made = VolumeUNet(**({"in_channels": 2, "width": 4, "max_width": 8, "output": "real"} | settings))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 17, 10), (4, 8, 12)])
def test_it_starts_as_the_channel_that_it_adds_whatever_the_size(size: tuple[int, int, int]) -> None:
    data = Data(context=(4, 8), patch=(16, 16, 4))
    made = generator_network(Generator.model_validate({"dimensions": 3, "residual": 8}), data)
    x = torch.rand(2, 3, *size)
    assert torch.equal(made(x), x[:, 2:])


def test_gradients_reach_every_weight() -> None:
    made = VolumeUNet(in_channels=2, width=4, max_width=8).train()
    optimiser = torch.optim.Adam(made.parameters(), lr=1e-2)
    x, clean = torch.rand(1, 2, 4, 16, 16), torch.rand(1, 1, 4, 16, 16)
    for _ in range(4):  # the last layer starts at zero, then the second of each block does
        optimiser.zero_grad()
        (made(x) - clean).abs().mean().backward()
        optimiser.step()
    assert [name for name, p in made.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_output_looks_no_further_than_its_reach(depth: int) -> None:
    made = network(in_channels=1, depth=depth, width=2, max_width=2).double()
    reach = made.reach
    assert all(r % s == 0 for r, s in zip(reach, made.stride, strict=True))
    size = [2 * r + 2 * s for r, s in zip(reach, made.stride, strict=True)]
    size = [size[0], size[1], 8]
    x = torch.rand(1, 1, *size, dtype=torch.float64, requires_grad=True)
    centre = [length // 2 for length in size]
    made(x)[0, 0, centre[0], centre[1], 4].backward()
    assert x.grad is not None
    for axis in (0, 1):
        others = tuple(a for a in range(3) if a != axis)
        seen = x.grad[0, 0].abs().sum(dim=others).nonzero().flatten() - centre[axis]
        assert reach[axis] / 2 < int(seen.abs().max()) <= reach[axis]


def test_a_patch_gives_what_the_whole_volume_gives() -> None:
    made = network(depth=1)
    x = torch.rand(1, 2, 40, 60, 70)
    (z, y, w), whole = made.reach, made(x)
    patch = made(x[:, :, 4:36, 10:50, 20:70])
    inner = (slice(4 + z, 36 - z), slice(10 + y, 50 - y), slice(20 + w, 70))
    assert whole[0, 0][inner].numel() > 0
    torch.testing.assert_close(patch[0, 0, z : 32 - z, y : 40 - y, w:], whole[0, 0][inner], rtol=1e-5, atol=1e-5)


def test_settings_that_volumes_have_not_are_refused() -> None:
    with pytest.raises(ValueError, match="expected none or batch"):
        VolumeUNet(in_channels=1, norm="instance")
    with pytest.raises(ValueError, match="expected one of 2 input channels"):
        VolumeUNet(in_channels=2, start=2)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), ((1, 2, 2), (1, 2, 2), 0), (2, 2, 0), (1, 1, 0)])
def test_narrow_volumes_are_right_in_bfloat16(kernel: int, stride: int, padding: int) -> None:
    torch.manual_seed(3)
    layer = Conv3d(4, 12, kernel, stride, padding)
    for size in [(5, 20, 2), (4, 12, 1), (4, 4, 2), (4, 20, 3), (4, 8, 8)]:
        if size[-1] + 2 * padding < layer.kernel_size[2]:
            continue
        for layout in (torch.contiguous_format, torch.channels_last_3d):
            x = torch.randn(2, 4, *size).contiguous(memory_format=layout)
            with torch.no_grad():
                expected = layer(x)
                with torch.autocast("cpu", torch.bfloat16):
                    result = layer(x).float()
            torch.testing.assert_close(result, expected, atol=0.05 * float(expected.abs().max()), rtol=0)
