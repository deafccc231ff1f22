"""A small scanner's export: two delays × two echoes, complex, and contrasts, written the way a centre has them."""

import csv
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (9, 11, 4)
AFFINE = np.array([[2.0, 0, 0, -9], [0, 2.0, 0, -12], [0, 0, 5.0, -7], [0, 0, 0, 1]])
DELAYS, ECHOES = (150, 4200), (21, 95)
COLUMNS = ("subject", "split", "role", "delay_ms", "echo", "part", "name", "path")


def save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


class Export:
    """A folder of files and the rows of its table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, object]] = []
        self.inputs: dict[tuple[str, int, int], np.ndarray] = {}
        self.targets: dict[tuple[str, str], np.ndarray] = {}

    def subject(
        self, name: str, seed: int, *, polar: bool = True, split: str = "", targets=("T1w", "T2-FLAIR")
    ) -> None:
        rng = np.random.default_rng(seed)
        head = np.zeros(SHAPE, dtype=np.float32)
        head[2:7, 2:9] = 1
        for delay in DELAYS:
            for echo, te in enumerate(ECHOES, start=1):
                signal = (1.0 if delay > 1000 else -0.4) * np.exp(-te / 90) * head * rng.uniform(200, 240)
                noise = rng.normal(size=(2, *SHAPE))
                image = (signal + 5 * (noise[0] + 1j * noise[1])).astype(np.complex64)
                self.inputs[name, delay, echo] = image
                parts = {"magnitude": np.abs(image), "phase": np.angle(image)}
                for part, data in (parts if polar else {"real": image.real, "imag": image.imag}).items():
                    file = f"{name}/d{delay}_e{echo}_{part}.nii.gz"
                    save(self.folder / file, data.astype(np.float32))
                    self.add(name, file, "input", delay_ms=delay, echo=echo, part=part, split=split)
        for contrast in targets:
            image = (300 * head + np.abs(rng.normal(size=SHAPE))).astype(np.float32)
            self.targets[name, contrast] = image
            file = f"{name}/{contrast}.nii.gz"
            save(self.folder / file, image)
            self.add(name, file, "target", name=contrast, split=split)

    def add(self, subject: str, path: str, role: str, **values: object) -> None:
        self.rows.append({"subject": subject, "path": path, "role": role, **values})

    def table(self, *further: str) -> Path:
        path = self.folder / "table.csv"
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, [*COLUMNS, *further], restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        return path
