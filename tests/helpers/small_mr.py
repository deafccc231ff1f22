"""A cohort folder made of phantoms: what ``simulate mr`` leaves, in a fraction of a second."""

import csv
from pathlib import Path

import numpy as np

from mdme_phantom import PROTOCOL, make_phantom
from taskgan.images.volumes import write_volume
from taskgan.physics.sequences import TARGETS, case_name, input_columns, input_path, target_path, target_signal
from taskgan.simulate.mr.cohort import input_sidecar, target_sidecar

AFFINE = np.diag([9.0, 9.0, 5.0, 1.0])


def write_cohort(folder: Path, *, subjects: int = 2, contrasts=("T1w", "T2-FLAIR", "PDw"), protocol=PROTOCOL) -> Path:
    rows = []
    for number in range(subjects):
        name = f"sub-{number}"
        phantom = make_phantom(size=20, slices=2, noise=0.004, seed=number, protocol=protocol)
        columns = {}
        for column, (d, e, part) in input_columns(len(protocol.delays), len(protocol.echoes)).items():
            td, te = protocol.delays[d - 1], protocol.echoes[e - 1]
            path = input_path(name, td, e, part)
            image = np.ascontiguousarray(getattr(phantom.images[d - 1, e - 1], part))
            write_volume(folder / path, image, AFFINE, side=input_sidecar(protocol, td, te, 5.0))
            columns[column] = path.as_posix()
        head = Path(name) / "head.nii.gz"
        write_volume(folder / head, phantom.inside.astype(np.uint8), AFFINE)
        for target in TARGETS:
            if target.name not in contrasts:
                continue
            clean = phantom.inside * np.abs(target_signal(phantom.pd, phantom.t1, phantom.t2, target))
            path = target_path(name, target.name)
            write_volume(folder / path, clean.astype(np.float32), AFFINE, side=target_sidecar(target, 5.0))
            rows.append(
                {
                    "case": case_name(name, target.name),
                    "subject": name,
                    "split": "test" if number else "train",
                    "contrast": target.name,
                    "degraded": columns["degraded"],
                    "clean": path.as_posix(),
                    "label": TARGETS.index(target),
                    **{key: value for key, value in columns.items() if key != "degraded"},
                    "mask": head.as_posix(),
                }
            )
    write_table(folder, rows)
    return folder


def write_table(folder: Path, rows: list[dict]) -> None:
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_table(folder: Path) -> list[dict]:
    with (folder / "pairs.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))
