"""Generated images of earlier steps, for a discriminator to go on learning from."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


class ImageBuffer:
    """Some of the images that a generator has made (Shrivastava et al. 2017, 10.1109/CVPR.2017.241).

    Until it is full every image is kept and given back. Then each image, with probability 1/2, takes the place
    of an earlier one, which is given back instead of it. What is drawn is a pure function of the seed and of how
    many images were seen before, so the images and that number are the whole state.

    On several devices every one of them holds the history of all, given the images of all in order.

    Args:
        size: Images kept; 0 keeps none and gives back what it is given.
        seed: Of the draws.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._images: list[Tensor] = []
        self._count = 0

    def exchange(self, images: Tensor) -> Tensor:
        """Show it the images of a step.

        Args:
            images: (B, C, H, W).

        Returns:
            (B, C, H, W), cut off the graph: each the image itself or an earlier one.
        """
        images = images.detach()
        return torch.stack([self._exchange_one(image) for image in images]) if self._size else images

    def _exchange_one(self, image: Tensor) -> Tensor:
        rng = np.random.default_rng([self._seed, self._count])
        self._count += 1
        if len(self._images) < self._size:
            self._images.append(image.clone())  # a view would keep its whole batch in memory
            return image
        if rng.random() < 0.5:
            return image
        place = int(rng.integers(self._size))
        earlier = self._images[place].to(image.device)  # a checkpoint is read to the CPU
        self._images[place] = image.clone()
        return earlier

    def state_dict(self) -> dict[str, Any]:
        """The images and how many were seen."""
        return {"kept": list(self._images), "seen": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._images, self._count = list(state["kept"]), state["seen"]
