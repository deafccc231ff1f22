"""Slices and volumes: deterministic, independent of the batch, scale-true, samples of z."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from small_models import network_of, volume, write
from taskgan.core.errors import UserError
from taskgan.model import engines
from taskgan.model import restorer as module
from taskgan.model.engines import fold_batch_norms
from taskgan.model.restorer import Restorer
from taskgan.networks.generator import UNet
from taskgan.recipe import Data, Generator, IntensityTransform, Norm

PRECISIONS = ("32", "bf16")


def inputs_of(count: int, channels: int = 1, height: int = 18, width: int = 13) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.gamma(2.0, 0.5, (count, channels, height, width)).astype(np.float32)


@given(
    height=st.integers(1, 35),
    width=st.integers(1, 35),
    count=st.integers(1, 7),
    batches=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    precision=st.sampled_from(PRECISIONS),
    norm=st.sampled_from(["batch", "instance", "group"]),
)
@settings(max_examples=25, deadline=None)
def test_any_size_and_any_batch_give_the_same(
    height: int, width: int, count: int, batches: tuple[int, int], precision: str, norm: Norm
) -> None:
    network = network_of(generator=Generator(width=4, max_width=16, depth=3, norm=norm))
    inputs = inputs_of(count, height=height, width=width)
    one, two = (
        Restorer(network, Data(), precision=precision, batch_size=size).restore_slices(inputs)  # type: ignore[arg-type]
        for size in batches
    )
    assert one.shape == (count, height, width)
    assert one.dtype == np.float32
    assert np.abs(one - two).max() <= 1e-5 * max(one.max(), inputs.max())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_slice_does_not_depend_on_the_other_slices(precision: str) -> None:
    network = network_of(generator=Generator(width=16, max_width=64, depth=4))
    restorer = Restorer(network, Data(), batch_size=3, precision=precision)  # type: ignore[arg-type]
    inputs = inputs_of(5)
    together = restorer.restore_slices(inputs)
    backwards = restorer.restore_slices(inputs[::-1])[::-1]
    np.testing.assert_allclose(together, backwards, atol=1e-5 * together.max())
    alone = np.concatenate([restorer.restore_slices(inputs[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5 * together.max())


@pytest.mark.parametrize("precision", ["auto", *PRECISIONS])
def test_twice_is_the_same_to_the_bit(precision: str) -> None:
    inputs = inputs_of(4)
    first, again = (
        Restorer(fold_batch_norms(network_of()), Data(), precision=precision).restore_slices(inputs)  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert np.array_equal(first, again)


@given(
    factor=st.sampled_from([0.125, 0.5, 2.0, 1024.0, 2.0**20]),
    kind=st.sampled_from(["mean_nonzero", "mean_foreground", "percentile"]),
    precision=st.sampled_from(PRECISIONS),
)
@settings(max_examples=15, deadline=None)
def test_a_scale_that_floats_hold_exactly_comes_back_exactly(factor: float, kind: str, precision: str) -> None:
    data = Data(intensity=IntensityTransform(kind=kind))  # type: ignore[arg-type]
    restorer = Restorer(network_of(data), data, precision=precision)  # type: ignore[arg-type]
    image = volume()
    once = restorer.restore_volume(image).image
    scaled = restorer.restore_volume(image * np.float32(factor)).image
    assert once.max() > 0
    assert np.array_equal(scaled, once * np.float32(factor))


@given(factor=st.floats(1e-3, 1e5))
@settings(max_examples=15, deadline=None)
def test_three_times_the_image_is_three_times_the_result(factor: float) -> None:
    restorer = Restorer(network_of(), Data())
    image = volume()
    once = restorer.restore_volume(image).image
    scaled = restorer.restore_volume(image * np.float32(factor)).image
    assert np.abs(scaled / factor - once).max() <= 1e-4 * once.max()


def test_without_a_transform_the_scale_is_seen() -> None:
    data = Data(intensity=IntensityTransform(kind="none"))
    restorer = Restorer(network_of(data), data)
    once, thrice = (restorer.restore_volume(k * volume()).image for k in (np.float32(1), np.float32(3)))
    assert np.abs(thrice - 3 * once).max() > 0.01 * once.max()


def test_slices_run_along_the_third_axis() -> None:
    restorer = Restorer(network_of(), Data(intensity=IntensityTransform(kind="none")))
    image = volume()
    changed = image.copy()
    changed[5, 5, 2] += 1
    one, two = restorer.restore_volume(image).image, restorer.restore_volume(changed).image
    assert one.shape == image.shape
    assert [bool(d.any()) for d in np.moveaxis(one - two, 2, 0)] == [False, False, True, False, False]


def test_neighbours_reach_as_far_as_they_should() -> None:
    data = Data(neighbours=1, intensity=IntensityTransform(kind="none"))
    restorer = Restorer(network_of(data), data, batch_size=2)
    image = volume(scale=0.5)
    changed = image.copy()
    changed[:, :, 0] *= 2
    one, two = restorer.restore_volume(image).image, restorer.restore_volume(changed).image
    assert [bool(d.any()) for d in np.moveaxis(one - two, 2, 0)] == [True, True, False, False, False]


def test_extra_channels_have_their_own_scale() -> None:
    data = Data(inputs=("degraded", "mr"))
    restorer = Restorer(network_of(data), data)
    pet, mr = volume(seed=1), volume(seed=2)
    once = restorer.restore_volume(pet, [mr]).image
    np.testing.assert_array_equal(restorer.restore_volume(pet, [mr * 8]).image, once)
    assert np.abs(restorer.restore_volume(pet, [volume(seed=3)]).image - once).max() > 0
    with pytest.raises(UserError, match="comes with 1 input images, the model takes degraded, mr"):
        restorer.restore_volume(pet)
    with pytest.raises(UserError, match="has shape"):
        restorer.restore_volume(pet, [mr[1:]])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_samples_are_seeded_and_independent_of_the_batch(precision: str) -> None:
    inputs = inputs_of(5)

    def draw(seed: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        restorer = Restorer(network_of(), Data(), precision=precision, batch_size=batch_size)  # type: ignore[arg-type]
        return restorer.sample_slices(inputs, 6, seed)

    mean, sd = draw(0, 2)
    assert all(np.array_equal(a, b) for a, b in zip(draw(0, 2), (mean, sd), strict=True))
    for a, b in zip(draw(0, 5), (mean, sd), strict=True):
        assert np.abs(a - b).max() <= 1e-5 * mean.max()
    assert np.abs(draw(1, 2)[0] - mean).max() > 1e-3 * mean.max()
    assert (sd > 0).any()


def test_mean_and_sd_are_those_of_the_draws() -> None:
    network, inputs = network_of(), inputs_of(2)
    draws = []
    for number in range(4):
        z = [module.slice_generator(9, index, number) for index in range(2)]
        with torch.no_grad():
            draws.append(network(torch.from_numpy(inputs), z)[:, 0].numpy())
    mean, sd = Restorer(network, Data()).sample_slices(inputs, 4, seed=9)
    np.testing.assert_allclose(mean, np.mean(draws, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sd, np.std(draws, axis=0, ddof=1), rtol=1e-4, atol=1e-6)


def test_samples_scale_with_the_image() -> None:
    restorer = Restorer(network_of(), Data())
    once = restorer.restore_volume(volume(), samples=3)
    scaled = restorer.restore_volume(volume() * np.float32(4), samples=3)
    assert once.sd is not None
    assert scaled.sd is not None
    assert np.array_equal(scaled.image, 4 * once.image)
    assert np.array_equal(scaled.sd, 4 * once.sd)
    assert restorer.restore_volume(volume()).sd is None


def test_samples_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(UserError, match="at least 2"):
        Restorer(network_of(), Data()).sample_slices(inputs_of(2), 1)
    still = network_of(generator=Generator(width=4, max_width=8, depth=3, dropout=0.0))
    with pytest.raises(UserError, match="no dropout"):
        Restorer(still, Data()).restore_volume(volume(), samples=3)


def test_a_network_in_training_goes_on_as_it_was() -> None:
    network = network_of()
    network.train()
    network.down[1].eval()  # a part that its owner froze
    modes = [m.training for m in network.modules()]
    before = {k: v.clone() for k, v in network.state_dict().items()}
    state = torch.get_rng_state()
    restored = Restorer(network, Data()).restore_slices(inputs_of(3))
    assert [m.training for m in network.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(restored, Restorer(network.eval(), Data()).restore_slices(inputs_of(3)))


def test_modes_come_back_after_an_error() -> None:
    network = network_of().train()
    with pytest.raises(RuntimeError):
        Restorer(network, Data()).restore_slices(inputs_of(2, channels=2))
    assert network.training


def test_any_module_restores(tmp_path: object) -> None:
    class Half(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.factor * x[:, :1]

    restorer = Restorer(Half(), Data(), precision="auto")
    restored = restorer.restore_volume(volume())
    np.testing.assert_allclose(restored.image, volume() / 2, rtol=1e-6)
    assert restored.precision == "32"
    with pytest.raises(UserError, match="no dropout"):
        restorer.sample_slices(inputs_of(1), 2)


def test_auto_takes_bf16_only_where_it_is_fast_and_close(monkeypatch: pytest.MonkeyPatch) -> None:
    network = fold_batch_norms(network_of())
    monkeypatch.setattr(engines, "bf16_is_native", lambda: True)
    close = Restorer(network, Data(), precision="auto").restore_volume(volume())
    assert close.error is not None
    assert 0 < close.error <= module.BF16_TOLERANCE
    assert close.precision == "bf16"
    monkeypatch.setattr(module, "BF16_TOLERANCE", close.error / 2)
    far = Restorer(network, Data(), precision="auto").restore_volume(volume())
    assert far.precision == "32"
    np.testing.assert_array_equal(far.image, Restorer(network, Data()).restore_volume(volume()).image)
    monkeypatch.setattr(engines, "bf16_is_native", lambda: False)
    slow = Restorer(network, Data(), precision="auto").restore_volume(volume())
    assert (slow.precision, slow.error) == ("32", None)


def test_from_folder_is_the_network_that_was_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write(tmp_path_factory.mktemp("run") / "model")
    restorer = Restorer.from_folder(folder, precision="32")
    assert restorer.card is not None
    assert restorer.card.name == "gan-seed3-fold1"
    plain = Restorer(network_of(), Data()).restore_volume(volume()).image
    np.testing.assert_allclose(restorer.restore_volume(volume()).image, plain, atol=1e-5 * plain.max())


def test_an_empty_image_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"pet\.nii has no positive values"):
        Restorer(network_of(), Data()).restore_volume(np.zeros((8, 8, 2), np.float32), name="pet.nii")


def test_bf16_needs_a_unet() -> None:
    with pytest.raises(UserError, match="bf16 needs"):
        Restorer(torch.nn.Conv2d(1, 1, 1), Data(), precision="bf16")
    assert UNet(in_channels=1, width=4, max_width=4, depth=2).dropout == 0.5
