import copy
from collections import Counter

import pytest
import torch
from torch import Tensor

from taskgan.train.networks import ImageBuffer


def numbered(first: int, count: int) -> Tensor:
    """Images that can be told apart."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 2, 2)


def numbers(images: Tensor) -> list[int]:
    assert torch.equal(images, images[:, :1, :1, :1].expand_as(images))
    return [int(value) for value in images[:, 0, 0, 0]]


def test_until_it_is_full_every_image_comes_back_itself() -> None:
    history = ImageBuffer(6, seed=0)
    assert numbers(history.exchange(numbered(0, 4))) == [0, 1, 2, 3]
    assert numbers(history.exchange(numbered(4, 2))) == [4, 5]


def test_then_half_of_what_it_gives_is_earlier_and_no_image_is_given_from_the_history_twice() -> None:
    history = ImageBuffer(50, seed=1)
    given: Counter[int] = Counter()
    earlier = 0
    ages = []
    for step in range(500):
        new = numbered(8 * step, 8)
        for place, number in enumerate(numbers(history.exchange(new))):
            given[number] += 1
            if number != 8 * step + place:
                earlier += 1
                ages.append(8 * step + place - number)
    assert earlier / (4000 - 50) == pytest.approx(0.5, abs=0.03)
    # The first fifty are given at once and kept; every other image is given at once or kept, never both.
    assert all(count <= (2 if number < 50 else 1) for number, count in given.items())
    # One of 50 leaves with every other image, so an image that is kept stays for 100 on average.
    assert sum(ages) / len(ages) == pytest.approx(100, rel=0.1)


def test_a_history_of_nothing_gives_back_what_it_is_given() -> None:
    images = numbered(0, 3)
    assert numbers(ImageBuffer(0, seed=0).exchange(images)) == [0, 1, 2]


def test_it_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    one = ImageBuffer(5, seed=2)
    for step in range(7):
        one.exchange(numbered(3 * step, 3))
    other = ImageBuffer(5, seed=2)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for step in range(7, 20):
        new = numbered(3 * step, 3)
        assert torch.equal(one.exchange(new), other.exchange(new))


def test_seeds_draw_differently() -> None:
    def walk(seed: int) -> list[int]:
        history = ImageBuffer(4, seed)
        return [n for step in range(10) for n in numbers(history.exchange(numbered(4 * step, 4)))]

    assert walk(0) == walk(0)
    assert walk(0) != walk(1)


def test_it_keeps_no_graph_and_no_more_than_its_images() -> None:
    history = ImageBuffer(2, seed=0)
    images = (numbered(0, 8) * torch.ones(1, requires_grad=True)).clone()
    assert not history.exchange(images).requires_grad
    kept = history.state_dict()["kept"]
    assert len(kept) == 2
    assert all(image.untyped_storage().nbytes() == 16 for image in kept)


def test_devices_that_share_a_batch_are_given_what_one_is_given() -> None:
    """Every device shows its history the images of all."""
    from taskgan.train.devices import of_all_devices

    class Device:
        world_size = 2

        def __init__(self, rank: int, whole: Tensor) -> None:
            self.global_rank, self._whole = rank, whole

        def all_gather(self, images: Tensor) -> Tensor:
            return self._whole.unflatten(0, (2, -1))

    histories = [ImageBuffer(5, seed=0) for _ in range(3)]
    for step in range(10):
        whole = numbered(4 * step, 4).contiguous()
        alone = histories[0].exchange(whole)
        shared = [
            of_all_devices(whole[2 * rank : 2 * rank + 2], Device(rank, whole), histories[1 + rank].exchange)
            for rank in (0, 1)
        ]
        assert torch.equal(torch.cat(shared), alone)
