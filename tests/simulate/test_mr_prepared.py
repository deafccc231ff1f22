"""The simulator's cohort, exported the way a scanner would and prepared again, is the same data."""

import csv

import nibabel as nib
import numpy as np
import pytest

from taskgan.cohort.pairs import read_pairs
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.physics.sequences import Mdme
from taskgan.prepare.mr.cohort import prepare_mr
from taskgan.prepare.mr.plan import MrPreparation
from taskgan.simulate.mr.cohort import MASKS, input_columns, simulate_mr
from taskgan.simulate.mr.settings import mr_simulation

FIELDS = ("subject", "split", "role", "delay_ms", "echo", "part", "name", "te_ms", "tr_ms", "path")
PROTOCOL = Mdme()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory, onion):
    small = {"subjects": 6, "patients": 0.5, "tumours": 0, "pixels": 24, "slices": 3}
    settings = mr_simulation(anatomy=onion, seed=2, motion_mm=0, motion_deg=0, **small)
    return simulate_mr(tmp_path_factory.mktemp("mr") / "cohort", settings, workers=1)


def export(cohort, folder):
    """Files and table: magnitude, and phase in milliradians, as floats (integers would round)."""
    rows = []
    columns = input_columns(PROTOCOL)

    def save(path, data, affine):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data, affine), folder / path)

    for pair in read_pairs(cohort):
        own = {"subject": pair.subject, "split": pair.split}
        if pair.columns["contrast"] == "T1w":
            images = {
                key: read_volume(pair.degraded if column == "degraded" else pair.path(column))
                for column, key in columns.items()
            }
            for delay, echo, part in images:
                if part == "imag":
                    continue
                z = images[delay, echo, "real"].data + 1j * images[delay, echo, "imag"].data
                parts = {"magnitude": np.abs(z), "phase": np.angle(z) * 1000}
                for name, data in parts.items():
                    path = f"{pair.subject}/{delay}-{echo}-{name}.nii.gz"
                    save(path, data.astype(np.float32), images[delay, echo, "real"].affine)
                    td, te = PROTOCOL.delays[delay - 1], PROTOCOL.echoes[echo - 1]
                    rows.append({**own, "role": "input", "delay_ms": td, "echo": echo, "part": name,
                                 "te_ms": te, "tr_ms": PROTOCOL.tr, "path": path})  # fmt: skip
            for mask in MASKS:
                path = pair.path("mask" if mask == "head" else mask)
                rows.append({**own, "role": "mask", "name": mask, "path": path})
        rows.append({**own, "role": "target", "name": pair.columns["contrast"], "path": pair.clean})
    with (folder / "table.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, FIELDS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder / "table.csv"


@pytest.mark.parametrize("normalise", [True, False])
def test_there_and_back(simulated, tmp_path, normalise, capsys):
    table = export(simulated, tmp_path / "export")
    out = prepare_mr(table, tmp_path / "prepared", MrPreparation(normalise=normalise))
    assert "phases were taken to be in milliradians" in capsys.readouterr().out
    before, after = read_pairs(simulated), {pair.case: pair for pair in read_pairs(out)}
    inputs, masks = input_columns(PROTOCOL), ["mask", *(m for m in MASKS if m != "head")]
    assert [c for c in before.columns if c in next(iter(after.values())).columns] == [
        "case", "subject", "split", "contrast", "degraded", "clean", "label",
        *(c for c in inputs if c != "degraded"), *masks,
    ]  # fmt: skip
    assert len(after) == len(before)
    for pair in before:
        other = after[pair.case]
        assert (other.split, other.label) == (pair.split, pair.label)
        for column in (*inputs, "clean", *masks):
            old, new = (
                read_volume({"degraded": p.degraded, "clean": p.clean}.get(column) or p.path(column))
                for p in (pair, other)
            )
            path = {"degraded": other.degraded, "clean": other.clean}.get(column) or other.path(column)
            factor = 1 if column in masks else read_sidecar(path)["IntensityFactor"]
            assert normalise or factor == 1
            np.testing.assert_allclose(new.data * factor, old.data, rtol=1e-5, atol=2e-6)
            np.testing.assert_array_equal(new.affine, old.affine)
    old, new = (read_sidecar(p.path("delay1_echo2_real")) for p in (pair, other))
    for field in ("EchoTime", "RepetitionTime", "InversionTime"):
        assert new[field] == old[field]
