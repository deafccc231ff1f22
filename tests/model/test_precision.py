"""Folding changes nothing; bfloat16 changes little, and only where it is meant to."""

import pytest
import torch

from small_models import network_of
from taskgan.core.errors import UserError
from taskgan.core.tensors import bf16_is_native, warn_of_emulated_bf16
from taskgan.model.engines import check_precision, fold_batch_norms, to_bf16
from taskgan.recipe import Generator, Norm


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("residual", [True, False])
def test_folding_keeps_the_result(norm: Norm, residual: bool) -> None:
    network = network_of(generator=Generator(width=8, max_width=32, depth=4, norm=norm, residual=residual))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    fast = fold_batch_norms(network)
    x = torch.rand(2, 1, 21, 32)
    with torch.no_grad():
        exact, quick = network(x), fast(x)
    torch.testing.assert_close(quick, exact, rtol=1e-5, atol=1e-5 * float(exact.max()))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fast.modules())


def test_reduced_keeps_the_last_layer_and_the_degraded_image_in_float32() -> None:
    network = fold_batch_norms(network_of(generator=Generator(width=8, max_width=32, depth=4, residual=True)))
    small = to_bf16(network)
    assert {p.dtype for p in small.down.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in small.last.parameters()} == {torch.float32}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        exact, rough = network(x), small(x)
        for each in (network, small):
            each.last.weight.zero_()
            each.last.bias.zero_()
        bare = small(x)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.01 * exact.max()
    assert torch.equal(bare, x)


def test_bf16_is_only_native_where_the_cpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    assert not bf16_is_native()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert bf16_is_native()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not bf16_is_native()


@pytest.mark.parametrize(
    ("native", "precision", "device", "warned"),
    [
        (False, "bf16", "cpu", True),
        (True, "bf16", "cpu", False),
        (False, "32", "cpu", False),
        (False, "bf16", "cuda", False),
    ],
)
def test_bf16_of_a_cpu_that_emulates_it_is_warned_of(
    native: bool,
    precision: str,
    device: str,
    warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("taskgan.core.tensors.bf16_is_native", lambda: native)
    warn_of_emulated_bf16(precision, device)
    assert ("warning: precision is bf16, which this CPU emulates" in capsys.readouterr().out) == warned


def test_unknown_precision_is_named() -> None:
    assert check_precision("bf16") == "bf16"
    with pytest.raises(UserError, match="precision is '16', expected auto, 32 or bf16"):
        check_precision("16")
