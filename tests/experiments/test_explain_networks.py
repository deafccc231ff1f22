import pytest
import torch

from explain.problem import StackedMLP


def networks(seeds: int = 3, *, shortcut: bool = False) -> StackedMLP:
    return StackedMLP((2, 8, 8, 2), seeds, torch.Generator().manual_seed(0), shortcut=shortcut)


def test_every_seed_is_a_network_of_its_own() -> None:
    side_by_side = networks()
    x = torch.randn(5, 3, 2)
    out, features = side_by_side(x)
    assert out.shape == (5, 3, 2)
    assert [f.shape for f in features] == [(5, 3, 8)] * 2
    for seed in range(3):
        h = x[:, seed]
        for k, (weight, bias) in enumerate(zip(side_by_side.weights, side_by_side.biases, strict=True)):
            h = h @ weight[seed] + bias[seed]
            h = torch.nn.functional.leaky_relu(h, 0.2) if k < 2 else h
        assert torch.allclose(out[:, seed], h, atol=1e-6)
    out[:, 1].square().sum().backward()
    gradient = side_by_side.weights[0].grad
    assert gradient is not None
    assert gradient[1].abs().sum() > 0
    assert gradient[[0, 2]].abs().sum() == 0


def test_with_a_shortcut_training_starts_near_the_identity() -> None:
    x = torch.randn(50, 3, 2)
    moved = (networks(shortcut=True)(x)[0] - x).detach()
    assert moved.square().mean().sqrt() < 0.5
    assert moved == pytest.approx(networks()(x)[0].detach() * 0.1, abs=1e-6)
