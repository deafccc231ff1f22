"""The chain: linear with its adjoint, back to the size, consistent with itself and with nothing else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgan.core.errors import Problems, UserError
from taskgan.degrade.degradation import Degradation, parse_steps
from taskgan.recipe.generator import Blur, Down, Jpeg, Noise, Poisson

SUPER = (Blur(sigma=8 / 3), Down(factor=8))


def face(shape: tuple[int, ...] = (40, 32), seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 0.8, shape)


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(st.integers(3, 40), st.integers(3, 40)),
    st.floats(0.3, 4),
    st.floats(1, 9),
    st.sampled_from(["area", "decimate"]),
)
def test_the_operator_is_linear_and_its_adjoint_is_its_adjoint(
    shape: tuple[int, int], sigma: float, factor: float, by: Any
) -> None:
    a = Degradation((Blur(sigma=sigma), Down(factor=factor, by=by)))
    x, z = face(shape), face(shape, 1)
    np.testing.assert_allclose(a.forward(2 * x - z), 2 * a.forward(x) - a.forward(z), atol=1e-12)
    low = np.random.default_rng(2).normal(size=a.forward(x).shape)
    assert np.vdot(a.forward(x), low) == pytest.approx(np.vdot(x, a.adjoint(low, shape)), rel=1e-9, abs=1e-12)
    first, second = a.matrices(shape)
    np.testing.assert_allclose(first @ x @ second.T, a.forward(x), atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 32), (41, 30), (40, 32, 3), (250, 250)])
def test_the_low_resolution_image_is_found_again_and_the_clean_image_agrees_with_it(shape: tuple[int, ...]) -> None:
    a, clean = Degradation(SUPER), face(shape)
    degraded = a.apply(clean)
    assert degraded.shape == shape
    np.testing.assert_allclose(a.low_resolution(degraded), a.forward(clean), atol=1e-9)
    assert a.consistency(clean, degraded) < 1e-9
    rounded = np.rint(degraded * 255) / 255
    assert a.consistency(clean, rounded) < 0.5 / 255
    # Detail that the input cannot show costs nothing; what contradicts it costs what it is.
    waves = 0.1 * np.cos(np.pi * np.arange(shape[0])).reshape(-1, *[1] * (len(shape) - 1))
    assert a.consistency(clean + waves, degraded) < 0.005
    assert a.consistency(clean + 0.1, degraded) == pytest.approx(0.1, abs=1e-6)


def test_the_projection_that_the_matrices_promise_makes_any_image_consistent() -> None:
    a, clean = Degradation(SUPER), face()
    degraded = a.apply(clean)
    other = face(seed=5)
    first, second = (m.T @ np.linalg.inv(m @ m.T) for m in a.matrices((40, 32)))
    projected = other + first @ (a.low_resolution(degraded) - a.forward(other)) @ second.T
    assert a.consistency(other, degraded) > 0.01
    assert a.consistency(projected, degraded) < 1e-9


def test_noise_is_that_of_its_generator_and_of_its_size() -> None:
    flat = np.full((200, 200), 0.5)
    for step, sd in ((Noise(sd=0.05), 0.05), (Poisson(peak=100), np.sqrt(0.5 / 100))):
        a = Degradation((step,))
        one, again = (a.apply(flat, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(one, again)
        assert one.std() == pytest.approx(sd, rel=0.03)
        assert one.mean() == pytest.approx(0.5, abs=0.002)
        assert a.consistency(flat, one) == pytest.approx(sd, rel=0.05)
    assert not np.array_equal(one, a.apply(flat, np.random.default_rng(4)))


@pytest.mark.parametrize("shape", [(40, 32), (40, 32, 1), (40, 32, 3)])
def test_jpeg_is_worse_at_lower_quality(shape: tuple[int, ...]) -> None:
    clean = face(shape)
    errors = [float(np.abs(Degradation((Jpeg(quality=q),)).apply(clean) - clean).mean()) for q in (10, 50, 95)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1.2 * errors[2] > 0


def test_steps_are_read_from_words_and_from_a_description() -> None:
    steps = parse_steps("blur:2,decimate:4,noise:0.05,poisson:300,jpeg:30")
    assert steps == (Blur(sigma=2), Down(factor=4, by="decimate"), Noise(sd=0.05), Poisson(peak=300), Jpeg(quality=30))
    a = Degradation(steps)
    found = Degradation.from_description({"degradation": {"steps": a.to_dicts()}})
    assert found is not None
    assert found.steps == steps
    assert Degradation.from_description({}) is None
    with pytest.raises(UserError, match=r"degradation that is no list of steps"):
        Degradation.from_description({"degradation": {"steps": [{"kind": "magic"}]}})


@pytest.mark.parametrize("text", ["", "blur", "soft:2", "blur:2,,down:4"])
def test_a_step_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"is no step; expected some of blur:SIGMA"):
        parse_steps(text)


def test_a_number_out_of_range_is_named() -> None:
    with pytest.raises(Problems, match=r"bad step jpeg:101"):
        parse_steps("jpeg:101")
    with pytest.raises(ValueError, match=r"at least one step"):
        Degradation(())
