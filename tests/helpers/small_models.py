"""A small trained-like model folder and images of a user's own, that no simulator wrote."""

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

from taskgan.model.folder import ModelCard, TrainingDomain, write_model
from taskgan.networks.generator import UNet, generator_network
from taskgan.recipe import Data, Generator, Recipe

GENERATOR = Generator(width=4, max_width=16, depth=3, dropout_layers=2)


def network_of(data: Data | None = None, generator: Generator = GENERATOR, seed: int = 0) -> UNet:
    """A U-Net with running statistics of its own, and an output well away from zero."""
    data = data or Data()
    torch.manual_seed(seed)
    network = generator_network(generator, data).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(4, data.channels, 32, 32))
        network.last.weight.mul_(10)
        network.last.bias.fill_(0.5)
    return network.eval()


def card_of(data: Data | None = None, generator: Generator = GENERATOR) -> ModelCard:
    recipe = Recipe()
    return ModelCard(
        name="gan-seed3-fold1",
        objective="gan",
        seed=3,
        fold=1,
        step=7,
        generator=generator,
        data=data or Data(),
        task=recipe.task,
        judge=recipe.judge,
        seen=TrainingDomain(
            cohort="trained",
            fingerprint="abc",
            subjects=5,
            voxel_size=((2.0, 2.0), (2.0, 2.0), (2.0, 3.0)),
            plane=((16, 16), (16, 16)),
            scale=(1.0, 3.0),
        ),
        measured={"val_psnr": 28.5},
    )


def write(folder: Path, data: Data | None = None, generator: Generator = GENERATOR, seed: int = 0) -> Path:
    write_model(folder, network_of(data, generator, seed).state_dict(), card_of(data, generator))
    return folder


def volume(shape: tuple[int, ...] = (17, 14, 5), *, scale: float = 1.0, seed: int = 0) -> NDArray[np.float32]:
    """Non-negative, with an empty background, like PET."""
    rng = np.random.default_rng(seed)
    image = rng.gamma(2.0, scale, shape).astype(np.float32)
    image[:2] = 0
    return image


AFFINE = np.array([[-2.0, 0.1, 0, 30], [0.1, 2.0, 0, -20], [0, 0, 2.5, 7], [0, 0, 0, 1]])


def save(path: Path, image: NDArray[np.float32], affine: NDArray[np.float64] = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti = nib.Nifti1Image(image, affine)
    nifti.header.set_xyzt_units("mm", "sec")
    nifti.header["descrip"] = b"a scanner's own words"
    nifti.set_sform(affine, code="scanner")
    nifti.set_qform(affine, code="scanner")
    nib.save(nifti, path)
    return path
