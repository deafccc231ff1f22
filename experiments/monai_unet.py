"""What one would take without this project: MONAI's 3D BasicUNet, L1, patches, its sliding windows.

A rival of ``pet_volumes.py``: the same training volumes in the same units, the same processor time, one thread.
MONAI's defaults stay as they are (features, instance norm, weights of windows), and its network sees the input alone.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskgan.cohort.pairs import Pairs
from taskgan.cohort.slices import Case, load_case, to_volume
from taskgan.core.console import progress
from taskgan.core.files import write_yaml
from taskgan.core.tensors import bf16_is_native
from taskgan.images.volumes import write_volume
from taskgan.recipe import Data

PATCH = (80, 80, 16)
BATCH = 2
RATE = 1e-3
RECORD = "monai.yaml"


def train_and_restore(pairs: Pairs, data: Data, out: Path, *, seconds: float, seed: int) -> None:
    """Train on the training volumes for so many seconds of the processor, and restore the test volumes.

    The weights of the last step are kept: the rate has fallen to zero by then, as in the project's own recipes.

    Args:
        pairs: The cohort's rows.
        data: Intensity transform.
        out: Folder: ``<case>.nii.gz`` in the input's units and, last, ``monai.yaml``.
        seconds: Processor time of this process for the steps of training.
        seed: Of weights and patches.
    """
    import monai
    from monai.inferers import SlidingWindowInferer
    from monai.networks.nets import BasicUNet

    plain = data.model_copy(update={"context": (), "neighbours": 0, "patch": None})
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = BasicUNet(spatial_dims=3, in_channels=1, out_channels=1)
    volumes = [_volumes(load_case(pair, plain)) for pair in pairs.split("train")]
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    steps, used, begun = 0, 0.0, time.process_time()
    with progress("train monai", int(seconds), "s") as bar:
        while used < seconds:
            for group in optimiser.param_groups:
                group["lr"] = RATE * max(1e-3, 0.5 * (1 + np.cos(np.pi * used / seconds)))
            inputs, clean = _batch(volumes, rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16_is_native()):
                restored = network(inputs)
            loss = (restored.float() - clean).abs().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            steps += 1
            now = time.process_time() - begun
            bar.advance(int(now) - int(used))
            used = now
    windows = SlidingWindowInferer(PATCH, sw_batch_size=1, overlap=0.5, mode="gaussian")
    network.eval()
    for pair in pairs.split("test"):
        case = load_case(pair, plain, clean=False)
        with torch.inference_mode():
            image: Any = windows(torch.from_numpy(to_volume(case.inputs[:, 0]))[None, None], network)
        values = case.intensity.invert(np.ascontiguousarray(image[0, 0].float().numpy()))
        write_volume(out / f"{pair.case}.nii.gz", values, case.source.affine, like=case.source.header)
    about = {
        "monai": monai.__version__,
        "network": "BasicUNet",
        "patch": list(PATCH),
        "batch_size": BATCH,
        "seed": seed,
    }
    weights = sum(p.numel() for p in network.parameters())
    about |= {"steps": steps, "seconds": round(used), "parameters": weights}
    write_yaml(out / RECORD, about)


def _volumes(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    assert case.clean is not None
    inputs, clean = (np.ascontiguousarray(to_volume(image)) for image in (case.inputs[:, 0], case.clean))
    return torch.from_numpy(inputs), torch.from_numpy(clean)


def _batch(
    volumes: Sequence[tuple[torch.Tensor, torch.Tensor]], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches (B, 1, *PATCH) of random volumes at random places, mirrored left to right half of the time."""
    inputs, clean = [], []
    for _ in range(BATCH):
        both = volumes[rng.integers(len(volumes))]
        corner = [int(rng.integers(max(size - edge, 0) + 1)) for size, edge in zip(both[0].shape, PATCH, strict=True)]
        block = tuple(slice(c, c + edge) for c, edge in zip(corner, PATCH, strict=True))
        mirror = [0] if rng.random() < 0.5 else []
        inputs.append(both[0][block].flip(mirror))
        clean.append(both[1][block].flip(mirror))
    return torch.stack(inputs)[:, None], torch.stack(clean)[:, None]
