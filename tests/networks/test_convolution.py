import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from taskgan.networks.layers import Conv2d, Conv3d

KERNELS = [(4, 2, 1), (3, 2, 1), (7, 2, 3), (1, 2, 0), (3, 1, 1)]


@pytest.mark.parametrize(("kernel", "stride", "padding"), KERNELS)
@pytest.mark.parametrize("channels", [(1, 4), (8, 16), (64, 128)])
@pytest.mark.parametrize("autocast", [True, False])
def test_narrow_maps_are_right_in_bfloat16(
    kernel: int, stride: int, padding: int, channels: tuple[int, int], autocast: bool
) -> None:
    torch.manual_seed(3)
    layer = Conv2d(*channels, kernel, stride, padding)
    low = layer if autocast else Conv2d(*channels, kernel, stride, padding)
    if not autocast:
        low.load_state_dict(layer.state_dict())
        low = low.to(torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for height, width in [(12, 1), (20, 2), (20, 3), (2, 20), (3, 3), (16, 16)]:
        if min(height, width) + 2 * padding < kernel:
            continue
        for batch in (1, 8):
            x = torch.randn(batch, channels[0], height, width)
            with torch.no_grad():
                expected = _plain(layer, x)
                with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    result = low(x if autocast else x.to(torch.bfloat16)).float()
            torch.testing.assert_close(result, expected, atol=0.05 * float(expected.abs().max()), rtol=0)


def _plain(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return nn.functional.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding)  # type: ignore[arg-type]


def test_the_gradient_passes_a_narrow_map() -> None:
    torch.manual_seed(3)
    layer, x = Conv2d(4, 8, 4, 2, 1), torch.randn(2, 4, 20, 2, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).float().square().sum().backward()
    low = x.grad
    assert low is not None
    x.grad = None
    layer(x).square().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(low, x.grad, atol=0.05 * float(x.grad.abs().max()), rtol=0)


_SMALL_KERNEL = """
import torch
from taskgan.networks.layers import Conv2d, Conv3d
torch.set_num_threads(1)
for channels in range(2, 9):
    layer = Conv2d(channels, 8, 1, 2, bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(32, channels, 28, 28).contiguous(memory_format=torch.channels_last).requires_grad_()
    layer(x).square().mean().backward()
    plain = torch.nn.functional.conv2d(x.detach()[..., ::2, ::2].contiguous(), layer.weight)
    assert torch.allclose(layer(x), plain, atol=1e-5)
"""


def test_a_strided_kernel_of_one_pixel_stays_within_its_memory() -> None:
    """A process of its own: what it does wrong, glibc's allocator sees."""
    environment = os.environ | {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    done = subprocess.run([sys.executable, "-c", _SMALL_KERNEL], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (1, 1, 0), (2, 2, 0), ((1, 2, 2), (1, 2, 2), 0)])
def test_one_volume_is_convolved_as_two_halves(kernel: Any, stride: Any, padding: int, depth: int) -> None:
    depth = max(depth, kernel if isinstance(kernel, int) else kernel[0])
    torch.manual_seed(3)
    layer, plain = Conv3d(3, 5, kernel, stride, padding), nn.Conv3d(3, 5, kernel, stride, padding)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(1, 3, depth, 9, 8)
    results = []
    for one in (layer, plain):
        given = x.clone().requires_grad_()
        y = one(given)
        y.square().sum().backward()
        results.append((y, given.grad, one.weight.grad))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-5)
