"""The projection: exact where A is, patient where it is not, along the right axes, in training as in restoring."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taskgan.degrade.degradation import Degradation, parse_steps
from taskgan.networks.generator import UNet
from taskgan.networks.projection import Projection, leave_out_of_graphs
from taskgan.recipe.generator import Blur, Down, Noise

SUPER = (Blur(sigma=8 / 3), Down(factor=8))
CHAIN = Degradation(SUPER)
ROUNDING = 1 / 255 / 12**0.5


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def face(shape: tuple[int, int], seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Smooth enough to be no noise, with an edge: values 0.2 to 0.8."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = Degradation((Blur(sigma=3),)).forward(noise)
    smooth[shape[0] // 3 :] += smooth.std()
    return 0.2 + 0.6 * (smooth - smooth.min()) / np.ptp(smooth)


def tensor(image: np.ndarray[Any, Any], kind: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(np.asarray(image)).to(kind)[None, None]


def rounded(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.rint(image * 255) / 255


@pytest.mark.parametrize("shape", [(64, 64), (40, 96), (101, 62), (250, 250)])
def test_an_image_that_contradicts_its_input_agrees_with_it_afterwards(shape: tuple[int, int]) -> None:
    """Also where an axis is longer than the other or no multiple of the factor: A_x is of the first."""
    degraded = rounded(CHAIN.apply(face(shape)))
    other = face(shape, seed=1)
    found = Projection(1.0, SUPER)(tensor(other), tensor(degraded))[0, 0].numpy()
    assert CHAIN.consistency(other, degraded) > 0.05
    assert CHAIN.consistency(found, degraded) < 0.02 * CHAIN.consistency(other, degraded)


def test_it_is_the_least_change_and_leaves_alone_what_the_input_does_not_show() -> None:
    degraded, other = CHAIN.apply(face((64, 48))), face((64, 48), seed=1)
    layer = Projection(1.0, SUPER)
    change = layer(tensor(other, torch.float64), tensor(degraded, torch.float64))[0, 0].numpy() - other
    first, second = (np.linalg.pinv(m) @ m for m in CHAIN.matrices((64, 48)))
    # In the row space of A: a change that A does not see would be one for nothing.
    np.testing.assert_allclose(first @ change @ second.T, change, atol=1e-12)
    hidden = np.random.default_rng(2).normal(size=(64, 48))
    hidden -= first @ hidden @ second.T
    both = layer(tensor(other + hidden, torch.float64), tensor(degraded, torch.float64))[0, 0].numpy()
    np.testing.assert_allclose(both - hidden - other, change, atol=1e-12)


def test_the_clean_image_stays_within_the_rounding_of_its_input() -> None:
    for seed in range(3):
        clean = face((128, 128), seed)
        degraded = rounded(CHAIN.apply(clean))
        found = Projection(1.0, SUPER)(tensor(clean), tensor(degraded))[0, 0].numpy()
        assert 0 < np.sqrt(np.mean((found - clean) ** 2)) < 0.5 * ROUNDING


@pytest.mark.parametrize(
    "text", ["blur:2", "blur:2,down:2", "blur:6,down:8", "down:4", "decimate:3", "blur:1,down:2.5"]
)
def test_what_cannot_be_divided_by_is_left_to_the_network(text: str) -> None:
    """The inverse of a blur alone would blow the rounding of its input up a billionfold."""
    steps = parse_steps(text)
    chain, clean = Degradation(steps), face((60, 44))
    degraded = rounded(chain.apply(clean))
    layer = Projection(1.0, steps)
    kept = layer(tensor(clean), tensor(degraded))[0, 0].numpy()
    assert np.sqrt(np.mean((kept - clean) ** 2)) < 12 * ROUNDING
    better = layer(tensor(degraded), tensor(degraded))[0, 0].numpy()
    assert np.mean((better - clean) ** 2) <= np.mean((degraded - clean) ** 2)
    floor = max(chain.consistency(clean, degraded), ROUNDING)
    assert chain.consistency(better, degraded) < 2 * floor


def test_a_weight_takes_its_share_away() -> None:
    degraded, other = CHAIN.apply(face((64, 64))), face((64, 64), seed=1)
    half, whole = (Projection(w, SUPER)(tensor(other), tensor(degraded)) - tensor(other) for w in (0.5, 1.0))
    torch.testing.assert_close(half, whole / 2, atol=1e-6, rtol=1e-5)


def test_a_mirrored_image_is_projected_as_the_image_is() -> None:
    """Training may flip its images: the low-resolution pixels are then the mirrored ones."""
    for shape in ((64, 48), (61, 45)):
        degraded, other = tensor(CHAIN.apply(face(shape))), tensor(face(shape, seed=1))
        layer = Projection(1.0, SUPER)
        torch.testing.assert_close(
            layer(other.flip(2), degraded.flip(2)), layer(other, degraded).flip(2), atol=1e-5, rtol=1e-5
        )


def test_its_gradient_is_that_of_a_projection() -> None:
    degraded = tensor(CHAIN.apply(face((8, 12))), torch.float64)
    other = tensor(face((8, 12), seed=1), torch.float64).requires_grad_()
    layer = Projection(1.0, SUPER)
    assert torch.autograd.gradcheck(lambda image: layer(image, degraded), (other,))
    layer(other, degraded).sum().backward()
    assert other.grad is not None
    assert other.grad.abs().max() < 0.05  # the sum is the input's to say, not the network's


def test_it_works_in_float32_where_the_network_does_not_and_after_restoring() -> None:
    layer = Projection(1.0, SUPER)
    degraded, other = tensor(CHAIN.apply(face((56, 32)))), tensor(face((56, 32), seed=1))
    with torch.inference_mode():  # what is kept from here must be good for training
        exact = layer(other, degraded)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layer(other, degraded), exact)
        assert layer(other.bfloat16(), degraded.bfloat16()).dtype == torch.float32
    layer(other.requires_grad_(), degraded).sum().backward()
    assert other.grad is not None


def test_images_of_a_batch_and_their_memory_do_not_matter() -> None:
    layer = Projection(1.0, SUPER)
    degraded, other = (torch.rand(3, 1, 40, 24).to(memory_format=torch.channels_last) for _ in range(2))
    together = layer(other, degraded)
    for k in range(3):
        torch.testing.assert_close(together[k : k + 1], layer(other[k : k + 1], degraded[k : k + 1]))
    leave_out_of_graphs()
    compiled = torch.compile(layer, backend="eager")
    torch.testing.assert_close(compiled(other, degraded), together)


def small(**settings: Any) -> UNet:
    torch.manual_seed(0)
    return UNet(in_channels=1, width=4, max_width=8, depth=3, norm="none", dropout=0.0, output="unit", **settings)


def test_a_generator_ends_with_it_and_without_it_is_what_it_was() -> None:
    degraded = tensor(rounded(CHAIN.apply(face((48, 80)))))
    plain, same = small(), small(projection=0.0, degradation=SUPER)
    layered = small(projection=1.0, degradation=[step.model_dump() for step in SUPER])
    assert list(plain.state_dict()) == list(layered.state_dict())
    layered.load_state_dict(plain.state_dict())
    with torch.no_grad():
        before, after = plain(degraded), copy.deepcopy(layered)(degraded)
        assert torch.equal(before, same(degraded))
        assert torch.equal(after, layered.project(before, degraded))
    errors = [CHAIN.consistency(image[0, 0].numpy(), degraded[0, 0].numpy()) for image in (before, after)]
    assert errors[0] > 0.1
    assert errors[1] < 0.01 * errors[0]


def test_bounds_are_kept_and_are_why_an_error_is_left() -> None:
    """A black network must be lifted; where the input is white, nothing can be above it."""
    clean = np.zeros((48, 48))
    clean[16:32, 8:40] = 1.0
    degraded = tensor(rounded(CHAIN.apply(clean)))
    layered = small(projection=1.0, degradation=SUPER)
    inner = layered.projection
    assert inner is not None
    with torch.no_grad():
        bounded = layered(degraded)
        free = inner(torch.zeros_like(degraded), degraded)
    assert float(free.min()) < -0.01
    assert float(bounded.min()) >= 0
    assert float(bounded.max()) <= 1
    errors = [CHAIN.consistency(image[0, 0].numpy(), degraded[0, 0].numpy()) for image in (free, bounded)]
    assert errors[0] < errors[1] < 0.05


def test_what_cannot_be_projected_onto_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight of a projection is 1.5"):
        Projection(1.5, SUPER)
    with pytest.raises(ValueError, match=r"at least one step"):
        Projection(1.0, ())
    with pytest.raises(ValueError, match=r"other steps have no inverse"):
        Projection(1.0, (*SUPER, Noise(sd=0.1)))
